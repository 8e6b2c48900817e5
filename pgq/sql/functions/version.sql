-- Returns the version of PgQ whose interface this is.
create or replace function pgq.version()
returns text
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return '3.5';
end
$$;
