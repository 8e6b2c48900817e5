-- Returns the assignments that repeat an update, and the condition that finds the row. If no column changes, a column
-- of the key is set to its own value.
--
--   facts                   about the table
--   changes                 positions of the columns that change, whether events show them or not
--   old_values, new_values  the rows' values, as tg_values() returns them
create or replace function pgq.tg_sql_update(
    facts pgq.tg_facts, changes integer[], old_values text[], new_values text[])
returns text
language plpgsql immutable parallel safe
as $$
declare
    condition constant pg_catalog.text := pgq.tg_sql_where(facts, old_values);
    assignments pg_catalog.text;
    i integer;
begin
    foreach i in array changes loop
        if i operator(pg_catalog.=) any (facts.shown) then
            assignments := pg_catalog.concat_ws(',', assignments, pg_catalog.concat(
                facts.idents[i], '=', pg_catalog.quote_nullable(new_values[i])));
        end if;
    end loop;
    if assignments is null then
        facts.keys := array[facts.keys[1]];
        assignments := pgq.tg_sql_where(facts, old_values);
    end if;
    return pg_catalog.concat(assignments, ' where ', condition);
end
$$;
