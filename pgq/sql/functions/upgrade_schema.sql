-- Returns the number of changed tables, which is 0: installing the schema again upgrades it.
create or replace function pgq.upgrade_schema()
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return 0;
end
$$;
