-- Grants the ticker without a program, and the functions that it calls with the rights of its caller, to each role that may
-- tick, with the extension as with the own schema.
do $$
declare
    own pg_catalog.text;
    grantee pg_catalog.text;
begin
    for own in
        select oid::pg_catalog.regprocedure from pg_catalog.pg_proc
        where pronamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid
          and proname::pg_catalog.text ~ '^(run_ticker|_ticks_elsewhere|_due_ticks|_tick_due_queues|_return_due_retries|_maintenance_operations|_maintenance_role|_maintain)$'
    loop
        execute pg_catalog.format('revoke all on routine %s from public', own);
        for grantee in
            select case granted.grantee when 0 then 'public' else granted.grantee::pg_catalog.regrole::pg_catalog.text end
            from pg_catalog.pg_proc, pg_catalog.aclexplode(coalesce(proacl, pg_catalog.acldefault('f', proowner))) granted
            where oid = 'pgq.ticker(text)'::pg_catalog.regprocedure::pg_catalog.oid and granted.grantee <> proowner
        loop
            execute pg_catalog.format('grant execute on routine %s to %s', own, grantee);
        end loop;
    end loop;
end
$$;
