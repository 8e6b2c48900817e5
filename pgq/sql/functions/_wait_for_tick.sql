-- Waits for the lock of ticks of a queue, which another session holds. i_rest is the queue's id modulo 256. After 3
-- seconds a warning names the holder, unless the session has a `lock_timeout`.
create or replace function pgq._wait_for_tick(i_rest integer)
returns void
language plpgsql set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    ticks constant integer := pg_catalog.hashtext('pgq ticker'::pg_catalog.text);
begin
    if pg_catalog.current_setting('lock_timeout'::pg_catalog.text) = '0' then
        begin
            perform pg_catalog.set_config('lock_timeout'::pg_catalog.text, '3s'::pg_catalog.text, true);
            perform pg_catalog.pg_advisory_xact_lock(ticks, i_rest);
            perform pg_catalog.set_config('lock_timeout'::pg_catalog.text, '0'::pg_catalog.text, true);
            return;
        exception when lock_not_available then
            raise warning 'waiting for a tick: its lock is held by %', (
                select pg_catalog.string_agg(pg_catalog.format('process %s (user `%s`)', s.pid, s.usename),
                                             ', '::pg_catalog.text)
                from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity s on s.pid = l.pid
                where l.locktype = 'advisory' and l.granted and l.objsubid = 2
                  and l.classid::pg_catalog.int8 = ticks::pg_catalog.int8 & 4294967295
                  and l.objid::pg_catalog.int8 = i_rest::pg_catalog.int8 & 4294967295
                  and l.database = (select d.oid from pg_catalog.pg_database d
                                    where d.datname = pg_catalog.current_database()));
        end;
    end if;
    perform pg_catalog.pg_advisory_xact_lock(ticks, i_rest);
end
$$;
