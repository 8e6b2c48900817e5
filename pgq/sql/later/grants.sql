-- Grants each function to the roles that may call its counterpart, and the tables to the roles that may use the table of
-- retry events, with the extension as with the own schema.
do $$
declare
    own record;
    grantee text;
    privilege text;
begin
    for own in
        select oid::pg_catalog.regprocedure as function, counterpart
        from pg_catalog.pg_proc
        join (values
            ('^insert_event_(at|once)$', 'pgq.insert_event(text, text, text)'),
            ('^delayed_event_cancel$', 'pgq.insert_event(text, text, text)'),
            ('^(un)?schedule_event$', 'pgq.insert_event(text, text, text)'),
            ('^scheduled_event_list$', 'pgq.finish_batch(bigint)'),
            ('^(_scheduled_state|_earliest_scheduled|_insert_scheduled|_set_scheduled_time)$', 'pgq.maint_retry_events()'),
            ('^delayed_event_(list|count)$', 'pgq.finish_batch(bigint)'),
            ('^(maint_delayed_events|_mark_delayed|_deliver_delayed|_deliver_one|_delayed_state)$', 'pgq.maint_retry_events()'),
            ('^maint_event_keys$', 'pgq.maint_retry_events()'),
            ('^(_event_key_.*|_later_queue|_scheduled_event_owner|_delayed_txid|later_cleanup)$', null)
        ) like_that (pattern, counterpart) on proname::pg_catalog.text ~ pattern
        where pronamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid
    loop
        execute pg_catalog.format('revoke all on function %s from public', own.function);
        continue when own.counterpart is null;
        for grantee in
            select case granted.grantee when 0 then 'public' else granted.grantee::pg_catalog.regrole::pg_catalog.text end
            from pg_catalog.pg_proc, pg_catalog.aclexplode(coalesce(proacl, pg_catalog.acldefault('f', proowner))) granted
            where oid = own.counterpart::pg_catalog.regprocedure::pg_catalog.oid and granted.grantee <> proowner
        loop
            execute pg_catalog.format('grant execute on function %s to %s', own.function, grantee);
        end loop;
    end loop;

    for grantee, privilege in
        select case granted.grantee when 0 then 'public' else granted.grantee::pg_catalog.regrole::pg_catalog.text end,
               granted.privilege_type
        from pg_catalog.pg_class, pg_catalog.aclexplode(coalesce(relacl, pg_catalog.acldefault('r', relowner))) granted
        where oid = 'pgq.retry_queue'::pg_catalog.regclass::pg_catalog.oid and granted.grantee <> relowner
    loop
        execute pg_catalog.format('grant %s on pgq.delayed_queue, pgq.delayed_mark, pgq.scheduled_event, pgq.scheduled_time, '
            'pgq.event_key_0, pgq.event_key_1, pgq.event_key_2, pgq.event_key_turn to %s', privilege, grantee);
    end loop;
end
$$;
