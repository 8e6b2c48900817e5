-- Returns the condition that finds a row by its key.
--
--   facts       about the trigger
--   row_values  the row's values, as tg_values() returns them
create or replace function pgq.tg_sql_where(facts pgq.tg_facts, row_values text[])
returns text
language plpgsql stable
as $$
declare
    parts text[] := '{}';
    i integer;
begin
    foreach i in array facts.keys loop
        if row_values[i] is null then
            raise exception 'logtriga: Unexpected NULL key value' using errcode = 'internal_error';
        end if;
        parts := parts
            || (pg_catalog.quote_ident(facts.names[i]) || '=' || pg_catalog.quote_literal(row_values[i]));
    end loop;
    return pg_catalog.array_to_string(parts, ' and ');
end
$$;
