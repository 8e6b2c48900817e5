-- Tells whether an update makes an event though the trigger ignores columns: it changes nothing at all, or a column
-- that events show. Fails when a column of the key changes before such a one.
--
--   changes     positions of the columns that change, from low to high
--   keys        positions of the key's columns
--   shown       positions of the columns that events show
create or replace function pgq.tg_is_wanted(changes integer[], keys integer[], shown integer[])
returns boolean
language plpgsql immutable parallel safe
as $$
declare
    i integer;
begin
    foreach i in array changes loop
        if i = any (keys) then
            raise exception 'primary key update not allowed' using errcode = 'internal_error';
        elsif i = any (shown) then
            return true;
        end if;
    end loop;
    return changes = '{}';
end
$$;
