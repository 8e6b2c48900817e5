-- Returns the statement that evaluates a trigger's expression over a row, `$1`: the type's oid and the text of the
-- value, or null when there is no expression.
--
-- A word of the expression that is a column's name, letter for letter, means the column. Text, comments and
-- qualified names stay what they are. Fails when the expression has a quoted name.
--
--   expression  the expression
--   names       the names of the table's columns
create or replace function pgq.tg_query(expression text, names text[])
returns text
language plpgsql immutable
as $$
declare
    token text;
    rewritten text := '';
begin
    if expression ~ '^\s*$' then
        return null;
    end if;
    for token in
        select part[1]
        from pg_catalog.regexp_matches(expression,
            '([eE]''(?:[^''\\]|\\.|'''')*''' -- a string with escapes
            '|''(?:[^'']|'''')*'''
            '|\$\$(?:[^$]|\$[^$])*\$\$|\$(\w+)\$[^$]*\$\2\$'
            '|--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/'
            '|(?:[[:alpha:]_][\w$]*)(?:\.[[:alpha:]_][\w$]*)*'
            '|\d[\w.]*|\$\d+|[[:space:]]+|.)', 'g') as part
    loop
        if token = '"' then
            raise exception 'QB: syntax error' using errcode = 'internal_error';
        elsif token = any (names) then
            token := pg_catalog.format('($1).%I', token);
        elsif token ~ '^\$\d+$' then
            raise exception 'there is no parameter %', token using errcode = 'undefined_parameter';
        end if;
        rewritten := rewritten || token;
    end loop;
    return pg_catalog.format(
        E'select pg_catalog.pg_typeof(x)::pg_catalog.oid, case pg_catalog.num_nulls(x) when 0 then '
        'pg_catalog.concat(x) end from (select %s\n) as _ (x)', rewritten);
end
$$;
