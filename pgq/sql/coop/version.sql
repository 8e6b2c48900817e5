-- Returns the version of the interface, which is PgQ's.
create or replace function pgq_coop.version()
returns text
language sql immutable
as $$
    select '3.5'
$$;
