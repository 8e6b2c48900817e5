-- Returns a row as a JSON object. Numbers that are no integers, and what PostgreSQL would nest, are strings.
--
--   facts       about the trigger
--   row_json    the row as PostgreSQL's JSON
--   row_text    the row as text
create or replace function pgq.tg_json_row(facts pgq.tg_facts, row_json json, row_text text)
returns text
language plpgsql stable
as $$
begin
    if facts.json_plain then
        return row_json::text;
    end if;
    -- The template counts the columns twice: as they are in JSON, then as strings.
    return pg_catalog.format(facts.json_template, variadic
        array(select coalesce(value::text, 'null') from pg_catalog.json_each(row_json))
        || array(
            select coalesce(pg_catalog.to_json(value)::text, 'null')
            from pg_catalog.unnest(pgq.tg_values(row_text, facts.columns)) as value));
end
$$;
