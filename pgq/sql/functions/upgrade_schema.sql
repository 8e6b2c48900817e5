-- Returns how many tables it changed. Nothing is left for it to do: installing the schema anew upgrades it.
create or replace function pgq.upgrade_schema()
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return 0;
end
$$;
