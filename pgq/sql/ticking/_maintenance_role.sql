-- Returns the role whose rights the called functions have. Internal.
--
-- A superuser whose role the database sets counts as a superuser: any code could reset the role.
create or replace function pgq._maintenance_role()
returns oid
language sql set search_path = pg_catalog, pg_temp
as $$
    select r.oid from pg_roles r
    where r.rolname = case
        when (select rolsuper from pg_roles where rolname = session_user)
            and exists (
                select from pg_db_role_setting s cross join unnest(s.setconfig) given
                where s.setrole = 0 and starts_with(given, 'role=')
                  and s.setdatabase = (select d.oid from pg_database d where d.datname = current_database()))
        then session_user else current_user end
$$;
