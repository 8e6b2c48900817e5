-- Gives whoever may finish batches the functions for failed events, and whoever may use the table of retry
-- events that of failed ones, so that both follow whichever PgQ is there.
do $$
declare
    own regprocedure;
    grantee text;
    privilege text;
begin
    for own in
        select oid from pg_catalog.pg_proc
        where pronamespace = 'pgq'::regnamespace and proname ~ '^(event_failed|event_(failed|retry)_many|_?failed_event_.*)$'
    loop
        execute format('revoke all on function %s from public', own);
        continue when own = 'pgq._failed_event_owner(text, text)'::regprocedure;
        for grantee in
            select case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end
            from pg_catalog.pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) granted
            where oid = 'pgq.finish_batch(bigint)'::regprocedure and granted.grantee <> proowner
        loop
            execute format('grant execute on function %s to %s', own, grantee);
        end loop;
    end loop;

    for grantee, privilege in
        select case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end,
               granted.privilege_type
        from pg_catalog.pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) granted
        where oid = 'pgq.retry_queue'::regclass and granted.grantee <> relowner
    loop
        execute format('grant %s on pgq.failed_queue to %s', privilege, grantee);
    end loop;
end
$$;
