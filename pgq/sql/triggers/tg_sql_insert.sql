-- Returns the columns and values that repeat an insert.
--
--   template    of them for format()
--   row_text    the row as text
--   columns     how many columns the row has
create or replace function pgq.tg_sql_insert(template text, row_text text, columns integer)
returns text
language plpgsql immutable parallel safe
as $$
declare
    nothing pg_catalog.text := E'\001';
begin
    -- The text that stands for null must not occur elsewhere.
    while pg_catalog.strpos(pg_catalog.concat(template, row_text), nothing)::boolean loop
        nothing := pg_catalog.concat(nothing, E'\001');
    end loop;
    return pg_catalog.replace(
        pg_catalog.format(template, variadic pg_catalog.array_replace(
            pgq.tg_values(row_text, columns), null, nothing)),
        pg_catalog.quote_literal(nothing), 'null');
end
$$;
