-- Concurrent installations wait for each other; a warning names the session that holds the lock.
do $$
declare
    install_key constant pg_catalog.int8 :=
        pg_catalog.hashtextextended('pgq_ext install'::pg_catalog.text, 0::pg_catalog.int8);
    holders pg_catalog.text;
begin
    if not pg_catalog.pg_try_advisory_xact_lock(install_key) then
        holders := pg_catalog.string_agg(
            pg_catalog.format('process %s (user `%s`)', s.pid, s.usename), ', '::pg_catalog.text)
            from pg_catalog.pg_locks l
            left join pg_catalog.pg_stat_activity s on s.pid operator(pg_catalog.=) l.pid
            where l.locktype operator(pg_catalog.=) 'advisory' and l.granted
              and l.objsubid operator(pg_catalog.=) 1::pg_catalog.int2
              and l.classid::pg_catalog.int8 operator(pg_catalog.=)
                  ((install_key operator(pg_catalog.>>) 32) operator(pg_catalog.&) 4294967295)
              and l.objid::pg_catalog.int8 operator(pg_catalog.=)
                  (install_key operator(pg_catalog.&) 4294967295)
              and l.database operator(pg_catalog.=) (
                  select d.oid from pg_catalog.pg_database d
                  where d.datname operator(pg_catalog.=) pg_catalog.current_database());
        raise warning 'waiting for another installation of pgq_ext: the lock is held by %', holders;
        perform pg_catalog.pg_advisory_xact_lock(install_key);
    end if;
end
$$
