-- Returns a row as a JSON object. Numbers that are no integers, and what PostgreSQL would nest, are strings.
--
--   template    of the object for format(): it counts the columns twice, as they are in JSON and as strings
--   numbers     what to put into quotes if that is all it takes, as a regular expression, or null
--   row_json    the row as PostgreSQL's JSON
--   row_text    the row as text
--   columns     how many columns the row has
create or replace function pgq.tg_json_row(
    template text, numbers text, row_json json, row_text text, columns integer)
returns text
language plpgsql stable
as $$
declare
    natives text[];
begin
    if numbers is not null then
        return pg_catalog.regexp_replace(row_json::text, numbers, E'\\1"\\2"', 'g');
    end if;
    natives := array(select coalesce(value::text, 'null') from pg_catalog.json_each(row_json));
    return pg_catalog.format(template, variadic natives || pgq.tg_json_strings(row_text, columns));
end
$$;
