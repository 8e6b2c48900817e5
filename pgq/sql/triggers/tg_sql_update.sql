-- Returns the assignments and the condition that repeat an update. When it changes nothing that events show, it
-- sets a column of the key to what it is.
--
--   facts               about the trigger
--   changes             positions of the columns that change
--   old_text, new_text  the rows as text
create or replace function pgq.tg_sql_update(facts pgq.tg_facts, changes integer[], old_text text, new_text text)
returns text
language plpgsql stable
as $$
declare
    old_values constant text[] := pgq.tg_values(old_text, facts.columns);
    new_values constant text[] := pgq.tg_values(new_text, facts.columns);
    parts text[] := '{}';
    i integer;
begin
    foreach i in array changes loop
        if i = any (facts.shown) then
            parts := parts
                || (pg_catalog.quote_ident(facts.names[i]) || '=' || pg_catalog.quote_nullable(new_values[i]));
        end if;
    end loop;
    if parts = '{}' then
        i := facts.keys[1];
        if old_values[i] is null then
            raise exception 'logtriga: Unexpected NULL key value' using errcode = 'internal_error';
        end if;
        parts := array[pg_catalog.quote_ident(facts.names[i]) || '=' || pg_catalog.quote_literal(old_values[i])];
    end if;
    return pg_catalog.array_to_string(parts, ',') || ' where ' || pgq.tg_sql_where(facts, old_values);
end
$$;
