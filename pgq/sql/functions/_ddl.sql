-- Runs a statement that creates, changes or drops something, for the functions of this schema. Internal.
--
-- Where there are event triggers, the statement alone runs under the path that a new session has in this database, with
-- the catalogue before it and temporary objects behind it, and never under the caller's (DESIGN.md, D58).
create or replace function pgq._ddl(i_statement text)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    path pg_catalog.text;
begin
    if exists (select from pg_event_trigger where evtenabled <> 'D') then
        path := (
            select substr(given, 13)
            from pg_db_role_setting cross join unnest(setconfig) given
            where setrole = 0
              and setdatabase in (0, (select oid from pg_database where datname = current_database()))
              and starts_with(given, 'search_path=') and strpos(given, 'pg_temp') = 0
            order by setdatabase desc limit 1);
        perform set_config('search_path', concat_ws(
            ', ', 'pg_catalog', nullif(coalesce(path, '"$user", public'), ''), 'pg_temp'), true);
    end if;
    execute i_statement;
end
$$;
