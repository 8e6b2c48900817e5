-- Returns the assignments that repeat an update, and the condition that finds the row. If no column changes, a column
-- of the key is set to its own value.
--
--   changes                 positions of the columns that change, whether events show them or not
--   shown                   positions of the columns to show
--   keys                    positions of the key's columns
--   idents                  names of the columns, quoted where SQL requires it
--   old_values, new_values  the rows' values, as tg_values() returns them
create or replace function pgq.tg_sql_update(
    changes integer[], shown integer[], keys integer[], idents text[], old_values text[], new_values text[])
returns text
language plpgsql immutable parallel safe
as $$
declare
    assignments pg_catalog.text;
    i integer;
begin
    foreach i in array changes loop
        if i operator(pg_catalog.=) any (shown) then
            assignments := pg_catalog.concat_ws(',', assignments, pg_catalog.concat(
                idents[i], '=', pg_catalog.quote_nullable(new_values[i])));
        end if;
    end loop;
    if assignments is null then
        assignments := pgq.tg_sql_where(array[keys[1]], idents, old_values);
    end if;
    return pg_catalog.concat(assignments, ' where ', pgq.tg_sql_where(keys, idents, old_values));
end
$$;
