-- Tells whether an update makes an event. It does when it changes a column that events show, or nothing at
-- all, and always when no columns are ignored. Fails when a column of the key changes, which with ignored
-- columns has to come before such a one.
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
