-- Grants the functions for failed events to each role that may finish batches, and the table of failed events to
-- each role that may use the table of retry events, with the extension as with the own schema.
do $$
declare
    own regprocedure;
    grantee text;
    privilege text;
begin
    for own in
        select oid from pg_catalog.pg_proc
        where pronamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid
          and proname::pg_catalog.text ~ '^(event_failed|event_(failed|retry)_many|_?failed_event_.*|_tagged_events_.*|_open_batch)$'
    loop
        execute pg_catalog.format('revoke all on function %s from public', own);
        continue when own::pg_catalog.text ~ '^(pgq\.)?_';
        for grantee in
            select case granted.grantee when 0 then 'public' else granted.grantee::pg_catalog.regrole::pg_catalog.text end
            from pg_catalog.pg_proc, pg_catalog.aclexplode(coalesce(proacl, pg_catalog.acldefault('f', proowner))) granted
            where oid = 'pgq.finish_batch(bigint)'::pg_catalog.regprocedure::pg_catalog.oid and granted.grantee <> proowner
        loop
            execute pg_catalog.format('grant execute on function %s to %s', own, grantee);
        end loop;
    end loop;

    for grantee, privilege in
        select case granted.grantee when 0 then 'public' else granted.grantee::pg_catalog.regrole::pg_catalog.text end,
               granted.privilege_type
        from pg_catalog.pg_class, pg_catalog.aclexplode(coalesce(relacl, pg_catalog.acldefault('r', relowner))) granted
        where oid = 'pgq.retry_queue'::pg_catalog.regclass::pg_catalog.oid and granted.grantee <> relowner
    loop
        execute pg_catalog.format('grant %s on pgq.failed_queue to %s', privilege, grantee);
    end loop;
end
$$;
