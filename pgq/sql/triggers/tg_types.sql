-- Returns the present types of a table's columns.
--
--   relation    the table
--   names       the names of its columns
create or replace function pgq.tg_types(relation regclass, names text[])
returns oid[]
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    type_list text;
    types oid[];
begin
    select string_agg(format('pg_typeof(r.%I)', name), ',' order by position) into type_list
    from unnest(names) with ordinality as n (name, position);
    execute format('select array[%s]::oid[] from (select (null::%s).*) r', type_list, relation) into types;
    return types;
end
$$;
