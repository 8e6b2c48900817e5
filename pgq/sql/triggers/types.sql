-- Types of the trigger functions. The types of an older release are dropped, and so are the functions that the triggers
-- call, which the following files create again: neither a type nor a function can be replaced by one of another shape.
--
-- A trigger may run with the rights of the table's owner, when a foreign key cascades, or of the owner of a function that
-- changes the table, but under the search path of the session. A session also keeps the types that a function found at
-- its first call. Therefore the functions either set their search path, or, if that would cost time for each row, name
-- all types, functions and operators with their schemas. Only a trigger's own expressions use the session's path.
do $$
declare
    old text;
    columns integer;
begin
    for old in
        select 'function ' || oid::pg_catalog.regprocedure::pg_catalog.text from pg_catalog.pg_proc
        where pronamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid and pg_catalog.starts_with(proname::pg_catalog.text, 'tg_')
    loop
        execute 'drop ' || old;
    end loop;
    for old in
        select 'type ' || reltype::pg_catalog.regtype::pg_catalog.text from pg_catalog.pg_class
        where relnamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid and pg_catalog.starts_with(relname::pg_catalog.text, 'tg_') and relkind = 'c'
    loop
        execute 'drop ' || old;
    end loop;

    -- Rows of texts, into which PostgreSQL itself splits the text of a table's row. A row of fewer columns is faster.
    foreach columns in array '{8,32,128}'::integer[] loop
        execute pg_catalog.format('create type pgq.tg_row_%s as (%s)', columns, (
            select pg_catalog.string_agg(pg_catalog.format('c%s pg_catalog.text', i), ', ' order by i)
            from pg_catalog.generate_series(1, columns) i));
    end loop;
    -- The facts about a table and a trigger on it. Positions count the columns that are not dropped, from 1.
    create type pgq.tg_facts as (
        columns             integer,    -- the number of columns
        names               text[],     -- of the columns
        idents              text[],     -- the same, quoted where SQL requires it
        numerics            integer[],  -- positions of the columns of type numeric
        loose               integer[],  -- positions of the others whose equal values may differ as text
        shown               integer[],  -- positions of the columns that an event shows
        all_columns         integer[],  -- all positions
        compared            integer[],  -- positions of the columns that an update compares
        keys                integer[],  -- positions of the key's columns
        key_first           boolean,    -- true if an update compares only the first column
        key_list            text,       -- the names of the key's columns
        key_json            text,       -- the same as a JSON array
        keyless             boolean,    -- true if updates and deletes are refused
        url_template        text,       -- of a row, for format()
        sql_template        text,
        json_template       text,
        json_plain          boolean,    -- true if an event contains PostgreSQL's own JSON of a row
        json_numbers        text,       -- else, a pattern of the numbers to quote in that JSON, if this suffices
        checked             boolean,    -- true if tg_check() may fail for a row
        skip                boolean,
        backup              boolean,
        deny                boolean,
        custom              boolean,    -- true if a magic column or an expression sets a field of the event
        magic               integer[],  -- for each field of an event the position of its column
        bad_magic           text,       -- the name of a column that begins like a magic one but is none
        fields              integer[],  -- for each expression the number of the field, 0 for `when`
        queries             text[],     -- for each expression the statement, null when it is empty
        query_types         oid[],      -- for each expression its type, null where it is unknown
        ignores             boolean,    -- true if the trigger names columns to ignore
        custom_keys         boolean);   -- true if the trigger names its key's columns
end
$$;
