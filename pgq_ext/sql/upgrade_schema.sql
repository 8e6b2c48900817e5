-- Brings the tables of a release without subconsumers up to date. Returns the number of changed tables.
create or replace function pgq_ext.upgrade_schema()
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    old record;
    path text;
    changed integer := 0;
begin
    for old in
        select tab.oid::regclass as name, key.conname,
               array_to_string(array(
                   select quote_ident(col.attname)
                   from unnest(key.conkey) with ordinality as part (attnum, position)
                   join pg_catalog.pg_attribute col on col.attrelid = tab.oid and col.attnum = part.attnum
                   where col.attname <> 'consumer_id'
                   order by part.position), ', ') as rest
        from pg_catalog.pg_class tab
        join pg_catalog.pg_constraint key on key.conrelid = tab.oid and key.contype = 'p'
        where tab.oid in (
                to_regclass('pgq_ext.completed_tick'), to_regclass('pgq_ext.completed_batch'),
                to_regclass('pgq_ext.completed_event'), to_regclass('pgq_ext.partial_batch'))
          and not exists (
                select from pg_catalog.pg_attribute col
                where col.attrelid = tab.oid and col.attname = 'subconsumer_id' and not col.attisdropped)
    loop
        -- Event triggers run under this path, and an administrator's may name tables without their schema.
        if changed = 0 and exists (select from pg_event_trigger where evtenabled <> 'D') then
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
        execute format('alter table %s add column subconsumer_id text not null default '''', drop constraint %I',
                       old.name, old.conname);
        execute format('alter table %s add primary key (%s)', old.name,
                       concat_ws(', ', 'consumer_id', 'subconsumer_id', nullif(old.rest, '')));
        changed := changed + 1;
    end loop;
    return changed;
end
$$;
