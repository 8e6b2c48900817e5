-- Types of the trigger functions.
do $$
begin
    -- A row of texts, as which PostgreSQL itself takes the text of a table's row apart.
    if pg_catalog.to_regtype('pgq.tg_row') is null then
        create type pgq.tg_row as (
            c1 text, c2 text, c3 text, c4 text, c5 text, c6 text, c7 text, c8 text,
            c9 text, c10 text, c11 text, c12 text, c13 text, c14 text, c15 text, c16 text,
            c17 text, c18 text, c19 text, c20 text, c21 text, c22 text, c23 text, c24 text,
            c25 text, c26 text, c27 text, c28 text, c29 text, c30 text, c31 text, c32 text);
    end if;
    -- The same for wider tables.
    if pg_catalog.to_regtype('pgq.tg_wide_row') is null then
        create type pgq.tg_wide_row as (
            c1 text, c2 text, c3 text, c4 text, c5 text, c6 text, c7 text, c8 text,
            c9 text, c10 text, c11 text, c12 text, c13 text, c14 text, c15 text, c16 text,
            c17 text, c18 text, c19 text, c20 text, c21 text, c22 text, c23 text, c24 text,
            c25 text, c26 text, c27 text, c28 text, c29 text, c30 text, c31 text, c32 text,
            c33 text, c34 text, c35 text, c36 text, c37 text, c38 text, c39 text, c40 text,
            c41 text, c42 text, c43 text, c44 text, c45 text, c46 text, c47 text, c48 text,
            c49 text, c50 text, c51 text, c52 text, c53 text, c54 text, c55 text, c56 text,
            c57 text, c58 text, c59 text, c60 text, c61 text, c62 text, c63 text, c64 text,
            c65 text, c66 text, c67 text, c68 text, c69 text, c70 text, c71 text, c72 text,
            c73 text, c74 text, c75 text, c76 text, c77 text, c78 text, c79 text, c80 text,
            c81 text, c82 text, c83 text, c84 text, c85 text, c86 text, c87 text, c88 text,
            c89 text, c90 text, c91 text, c92 text, c93 text, c94 text, c95 text, c96 text,
            c97 text, c98 text, c99 text, c100 text, c101 text, c102 text, c103 text, c104 text,
            c105 text, c106 text, c107 text, c108 text, c109 text, c110 text, c111 text, c112 text,
            c113 text, c114 text, c115 text, c116 text, c117 text, c118 text, c119 text, c120 text,
            c121 text, c122 text, c123 text, c124 text, c125 text, c126 text, c127 text, c128 text);
    end if;
    -- What is known about a table and a trigger on it. A position counts columns that are not dropped, from 1.
    if pg_catalog.to_regtype('pgq.tg_facts') is null then
        create type pgq.tg_facts as (
            columns             integer,    -- how many the table has
            names               text[],     -- of the columns
            idents              text[],     -- the same, quoted where SQL asks for it
            loose               integer[],  -- positions of types whose equal values may differ as text
            shown               integer[],  -- positions of the columns that an event shows
            all_columns         integer[],  -- all positions
            compared            integer[],  -- positions of the columns that an update has to look at
            keys                integer[],  -- positions of the key's columns
            key_first           boolean,    -- whether the first column is all that an update has to look at
            key_list            text,       -- the names of the key's columns
            key_json            text,       -- the same as a JSON array
            keyless             boolean,    -- whether updates and deletes are refused
            url_template        text,       -- of a row, for format()
            sql_template        text,
            json_template       text,
            json_plain          boolean,    -- whether PostgreSQL's own JSON of a row is an event's
            json_numbers        text,       -- else, what to put into quotes in it if that is all, as a regular expression
            checked             boolean,    -- whether tg_check() may have something to say about a row
            skip                boolean,
            backup              boolean,
            deny                boolean,
            custom              boolean,    -- whether anything but the defaults fills the event's fields
            magic               integer[],  -- for each field of an event the position of the column that sets it
            bad_magic           text,       -- the name of a column that looks as if it set a field
            fields              integer[],  -- for each expression the number of the field, 0 for `when`
            queries             text[],     -- for each expression the statement, null when it is empty
            query_types         oid[],      -- for each expression its type, null where it is unknown
            ignores             boolean,    -- whether the trigger names columns to ignore
            custom_keys         boolean);   -- whether the trigger names its key's columns
    end if;
end
$$;
