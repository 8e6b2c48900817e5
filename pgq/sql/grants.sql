-- Grants privileges to PgQ's roles. Runs last. Skips a role that does not exist.
do $$
declare
    given record;
    part text;
begin
    for given in
        select * from (values
            ('public', 'usage', 'schema', array['pgq']),
            ('public', 'select', 'table', array['consumer', 'queue', 'registration', 'subscription', 'tick']),
            ('pgq_reader', 'select', 'table',
                array['consumer', 'queue', 'registration', 'subscription', 'tick', 'event_template']),
            ('pgq_admin', 'select, insert, update, delete', 'table',
                array['consumer', 'queue', 'registration', 'subscription', 'tick', 'retry_queue', 'retry_mark']),
            ('pgq_admin', 'select, insert, truncate', 'table', array['event_template']),
            ('public', 'execute', 'function', array[
                'get_consumer_info', 'get_queue_info', 'quote_fqname', 'seq_getval', 'version']),
            ('pgq_reader', 'execute', 'function', array[
                'batch_event_sql', 'batch_event_tables', 'batch_retry', 'event_retry', 'find_tick_helper',
                'finish_batch', 'force_tick', 'get_batch_cursor', 'get_batch_events', 'get_batch_info',
                '_next_ticks', 'next_batch', 'next_batch_custom', 'next_batch_info', 'register_consumer',
                'register_consumer_at', 'unregister_consumer']),
            ('pgq_writer', 'execute', 'function', array[
                'current_event_table', 'insert_event', 'jsontriga', 'logutriga', 'sqltriga']),
            ('pgq_admin', 'execute', 'function', array[
                '_check_insert', '_ddl', '_create_tables', '_grant_perms_from', '_plain_rights', '_queue_rights', '_wait_for_tick',
                '_due_retries', '_positions', '_due_retry_queues', '_registration', '_retry_txid', '_shrink_positions', '_last_retry_mark', '_mark_retries', 'create_queue', 'drop_queue', 'event_retry_raw',
                'grant_perms', 'insert_event_raw', 'maint_operations', 'maint_retry_events',
                'maint_rotate_tables_step1', 'maint_rotate_tables_step2', 'maint_tables_to_vacuum',
                'seq_setval', 'set_queue_config', 'ticker', 'tune_storage', 'upgrade_schema'])
        ) as grants (role, privileges, kind, names)
    loop
        for part in
            select 'pgq' where given.kind = 'schema'
            union all
            select 'pgq.' || name from pg_catalog.unnest(given.names) name
            -- The extension lacks some tables.
            where given.kind = 'table' and pg_catalog.to_regclass('pgq.' || name) is not null
            union all
            select oid::pg_catalog.regprocedure::pg_catalog.text from pg_catalog.pg_proc
            where pronamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid and proname = any (given.names)
              and given.kind = 'function'
        loop
            if given.kind = 'function' then
                execute pg_catalog.format('revoke all on function %s from public', part);
            end if;
            if given.role = 'public' or pg_catalog.to_regrole(given.role) is not null then
                execute pg_catalog.format('grant %s on %s %s to %s', given.privileges, given.kind, part, given.role);
            end if;
        end loop;
    end loop;
    -- Queues that were created before these roles, or with other default privileges.
    perform pgq.grant_perms(queue_name) from pgq.queue;
end
$$;
