-- Returns whether another session that may tick holds the lock of the ticker that is active. Internal.
--
-- Any role can take the lock. A role that may not tick, and cannot become one that may, does not stop a ticker.
create or replace function pgq._ticks_elsewhere()
returns boolean
language sql set search_path = pg_catalog, pg_temp
as $$
    with key (value) as (select hashtextextended('pgq ticker', 0))
    select exists (
        select from key, pg_locks held left join pg_stat_activity session on session.pid = held.pid
        where held.granted and held.locktype = 'advisory' and held.objsubid = 1
          and held.database = (select oid from pg_database where datname = current_database())
          and held.classid = ((key.value >> 32) & 4294967295)::oid and held.objid = (key.value & 4294967295)::oid
          -- A prepared transaction has no process, and is no ticker.
          and held.pid <> pg_backend_pid()
          and (session.usesysid is null or exists (
            select from pg_roles other
            where pg_has_role(session.usesysid, other.oid, 'member')
              and has_function_privilege(other.oid, 'pgq.ticker(text)', 'execute'))))
$$;
