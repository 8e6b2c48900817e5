-- Returns true if values of a type may be equal though their texts differ: the type has an equality of its own,
-- which is not that of its text. Arrays are compared as text.
--
--   type          of a column
--   collation_id  of the column, 0 for none
create or replace function pgq.tg_is_loose(type oid, collation_id oid)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    exact constant oid[] := '{bool,bytea,name,int2,int4,int8,oid,date,timestamp,timestamptz,uuid}'::regtype[];
begin
    if type = any (exact)
        or exists (select from pg_type t where t.oid = type and (t.typcategory = 'A' or t.typtype = 'e'))
        or type = any ('{text,varchar}'::regtype[])
            and exists (select from pg_collation c where c.oid = collation_id and c.collisdeterministic)
    then
        return false;
    end if;
    execute format('select record_eq(row(null::%1$s), row(null::%1$s))', format_type(type, -1));
    return true;
exception when undefined_function then
    return false;
end
$$;
