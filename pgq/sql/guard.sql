-- PgQ in SQL: the schema `pgq` for servers that lack the extension. Run the script in one transaction, for
-- example with `psql --single-transaction`. It can be run again, and updates the schema of an older release, whose queues
-- and events stay.

-- Statements must see what other sessions commit during the wait for the lock.
set local transaction isolation level read committed;

-- The owner of the database may have set the session's search path, so the script does not use that path.
set local search_path = pg_catalog, pg_temp;

-- Fails if the extension, a newer release, or a schema that is not PgQ's is installed.
do $$
declare
    release pg_catalog.text;
    install_key constant pg_catalog.int8 := pg_catalog.hashtextextended('pgq install'::pg_catalog.text, 0::pg_catalog.int8);
    schema_owner pg_catalog.oid;
    me constant pg_catalog.oid := (select oid from pg_catalog.pg_roles where rolname = current_user);
begin
    -- Concurrent installations wait for each other.
    if not pg_catalog.pg_try_advisory_xact_lock(install_key) then
        raise warning 'waiting for another installation: the lock is held by %', (
            select pg_catalog.string_agg(
                pg_catalog.format('process %s (user `%s`)', pid, usename), ', '::pg_catalog.text)
            from pg_catalog.pg_locks left join pg_catalog.pg_stat_activity using (pid)
            where locktype = 'advisory' and granted and objsubid = 1
              and classid = ((install_key >> 32) & 4294967295)::pg_catalog.oid
              and objid = (install_key & 4294967295)::pg_catalog.oid
              and pg_locks.database = (
                  select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()));
        perform pg_catalog.pg_advisory_xact_lock(install_key);
    end if;
    schema_owner := (select nspowner from pg_catalog.pg_namespace where nspname = 'pgq');
    release := (
        select pg_catalog.substring(mark.line, '^PgQ in SQL, release ([0-9]{1,6}),')
        from (
            select pg_catalog.obj_description(pg_catalog.to_regnamespace('pgq'), 'pg_namespace'), 1
            union all
            select pg_catalog.substring(prosrc, $re$'(.*)'$re$), 2 from pg_catalog.pg_proc
            where oid = pg_catalog.to_regprocedure('pgq._release()')
        ) mark (line, place)
        where mark.line ~ '^PgQ in SQL, release [0-9]{1,6},'
        order by mark.place limit 1);
    if exists (select from pg_catalog.pg_extension where extname = 'pgq') then
        raise exception 'cannot install schema pgq: the extension pgq is installed, which this schema cannot replace';
    elsif release::pg_catalog.int4 > 2 then
        raise exception 'cannot install schema pgq: it is of a newer release, %', release;
    elsif release is null and (
        exists (select from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace('pgq')::pg_catalog.oid)
        or exists (select from pg_catalog.pg_proc where pronamespace = pg_catalog.to_regnamespace('pgq')::pg_catalog.oid))
    then
        raise exception 'cannot install schema pgq: there is a schema of this name that is neither the extension''s nor this one';
    elsif not (pg_catalog.pg_has_role(schema_owner, me, 'usage') and pg_catalog.pg_has_role(schema_owner, 'usage')) then
        -- The owner of the tables can make the owner of the functions run code.
        raise exception 'schema pgq belongs to role %, who alone can install into it; run this as that role, '
            'or drop the schema', schema_owner::pg_catalog.regrole using errcode = 'insufficient_privilege';
    end if;
end
$$;
