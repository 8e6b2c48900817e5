-- Returns a trigger's expression with the names of columns replaced: the statement that selects it has the
-- row as `$1`. A word that is exactly the name of a column means the column; literals, comments and qualified names are
-- not replaced. Returns null if there is no expression. Fails when the expression has a
-- quoted name.
--
--   expression  the expression
--   names       the names of the table's columns
create or replace function pgq.tg_query(expression text, names text[])
returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
declare
    token text;
    rewritten text := '';
begin
    if expression ~ '^[[:space:]]*$' then
        return null;
    end if;
    for token in
        select part[1]
        from pg_catalog.regexp_matches(expression,
            E'([eE]''(?:[^''\\\\]|\\\\.|'''')*'''
            '|''(?:[^'']|'''')*'''
            '|[$][$](?:[^$]|[$][^$])*[$][$]|[$]([[:alnum:]_]+)[$][^$]*[$]\\2[$]'
            '|--[^\n]*|/[*](?:[^*]|[*]+[^*/])*[*]+/'
            '|[[:alpha:]_][[:alnum:]_$]*(?:[.][[:alpha:]_][[:alnum:]_$]*)*'
            '|[0-9][[:alnum:]_.]*|[$][0-9]+|[[:space:]]+|.)', 'g') as part
    loop
        if token = '"' then
            raise exception 'QB: syntax error' using errcode = 'internal_error';
        elsif token ~ '^[$][0-9]+$' then
            raise exception 'there is no parameter %', token using errcode = 'undefined_parameter';
        elsif token = any (names) then
            token := pg_catalog.format('($1).%I', token);
        end if;
        rewritten := rewritten || token;
    end loop;
    return 'select ' || rewritten;
end
$$;
