-- Returns a row as a JSON object. Numbers other than integers, and values that PostgreSQL would nest, are strings.
--
--   facts       about the table
--   row_json    the row as PostgreSQL's JSON
--   subject     the row
create or replace function pgq.tg_json_row(facts pgq.tg_facts, row_json json, subject record)
returns text
language plpgsql stable
as $$
declare
    natives pg_catalog.text[];
begin
    if facts.json_numbers is not null then
        return pg_catalog.regexp_replace(row_json::pg_catalog.text, facts.json_numbers, E'\\1"\\2"', 'g');
    end if;
    natives := array(select coalesce(value::pg_catalog.text, 'null') from pg_catalog.json_each(row_json));
    return pg_catalog.format(
        facts.json_template, variadic pg_catalog.array_cat(
            natives, pgq.tg_json_strings(subject::pg_catalog.text, facts.columns)));
end
$$;
