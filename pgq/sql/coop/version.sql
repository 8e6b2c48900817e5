-- Returns the version of the interface, which is PgQ's.
create or replace function pgq_coop.version()
returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select '3.5'
$$;
