-- Returns the condition that finds a row by its key.
--
--   facts       about the table
--   row_values  the row's values, as tg_values() returns them
create or replace function pgq.tg_sql_where(facts pgq.tg_facts, row_values text[])
returns text
language plpgsql immutable parallel safe
as $$
declare
    condition pg_catalog.text;
    i integer;
begin
    foreach i in array facts.keys loop
        if row_values[i] is null then
            raise exception 'logtriga: Unexpected NULL key value' using errcode = 'internal_error';
        end if;
        condition := pg_catalog.concat_ws(
            ' and ', condition, pg_catalog.concat(facts.idents[i], '=', pg_catalog.quote_literal(row_values[i])));
    end loop;
    return coalesce(condition, '');
end
$$;
