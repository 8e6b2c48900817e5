-- Returns the values of a row as JSON strings, in the order of the columns, `null` for null.
--
--   row_text    the row as text
--   columns     how many columns the row has
create or replace function pgq.tg_json_strings(row_text text, columns integer)
returns text[]
language plpgsql immutable parallel safe
as $$
begin
    return array(
        select coalesce(pg_catalog.to_json(value)::pg_catalog.text, 'null')
        from pg_catalog.unnest((pgq.tg_values(row_text, columns))[:columns]) as value);
end
$$;
