-- Returns true if an update makes an event. An update makes an event if it changes a column that events show, if
-- it changes no column, or if no columns are ignored. Fails when a column of the key changes; with ignored columns, only
-- if it precedes the first changed column that events show.
--
--   changes     positions of the columns that change, from low to high
--   ignores     whether the trigger ignores columns
--   keys        positions of the key's columns
--   shown       positions of the columns that events show
create or replace function pgq.tg_is_wanted(
    changes integer[], ignores boolean, keys integer[], shown integer[])
returns boolean
language plpgsql immutable parallel safe
as $$
declare
    i integer;
begin
    foreach i in array changes loop
        if i operator(pg_catalog.=) any (keys) then
            raise exception 'primary key update not allowed' using errcode = 'internal_error';
        elsif ignores and i operator(pg_catalog.=) any (shown) then
            return true;
        end if;
    end loop;
    return not ignores or changes operator(pg_catalog.=) '{}';
end
$$;
