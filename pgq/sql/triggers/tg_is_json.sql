-- Returns true if PostgreSQL writes the values of a type in JSON as the triggers do: integers, booleans, dates and
-- timestamps as such, all others as strings that hold their text.
create or replace function pgq.tg_is_json(type oid)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    bare constant oid[] := '{bool,int2,int4,int8,date,timestamp,timestamptz}'::regtype[];
    other constant oid[] := '{float4,float8,numeric,json,jsonb}'::regtype[];
    base oid;
begin
    if type = any (bare) then
        return true;
    end if;
    with recursive above as (
        select t.oid, t.typtype, t.typbasetype, t.typcategory from pg_type t where t.oid = type
        union all
        select t.oid, t.typtype, t.typbasetype, t.typcategory
        from above, pg_type t
        where above.typtype = 'd' and t.oid = above.typbasetype)
    select above.oid into base from above
    where above.typtype not in ('d', 'c', 'p') and above.typcategory <> 'A';
    return base is not null and base <> all (bare) and base <> all (other)
        and not exists (select from pg_cast c where c.castsource = base and c.casttarget = 'json'::regtype);
end
$$;
