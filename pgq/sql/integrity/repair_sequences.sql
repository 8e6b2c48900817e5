-- Moves the sequences that number registrations, batches, consumers, queues, failed events, delayed events and schedules
-- past the numbers in use.
do $$
declare
    behind record;
    failed pg_catalog.int8 := 0;
begin
    if pg_catalog.to_regclass('pgq.failed_queue') is not null then
        execute 'select pg_catalog.max(ev_owner) from pgq.failed_queue' into failed;
    end if;
    for behind in
        select named.name, named.need from (values
            ('pgq.subscription_sub_id_seq', greatest(
                (select pg_catalog.max(sub_id) from pgq.subscription),
                (select pg_catalog.max(ev_owner) from pgq.retry_queue), failed)),
            ('pgq.batch_id_seq', (select pg_catalog.max(sub_batch) from pgq.subscription)),
            ('pgq.consumer_co_id_seq', (select pg_catalog.max(co_id) from pgq.consumer)),
            ('pgq.queue_queue_id_seq', (select pg_catalog.max(queue_id) from pgq.queue))
        ) named (name, need)
        where pg_catalog.to_regclass(named.name) is not null
          and coalesce(pg_catalog.pg_sequence_last_value(named.name::pg_catalog.regclass), 0) < named.need
    loop
        perform pg_catalog.setval(behind.name::pg_catalog.regclass,
                                  greatest(behind.need, pgq.seq_getval(behind.name)));
    end loop;
    for behind in
        select named.*, pg_catalog.pg_get_serial_sequence(named.tab, named.col) as name
        from (values ('pgq.failed_queue', 'ev_failed_no'), ('pgq.delayed_queue', 'ev_id'),
                     ('pgq.scheduled_event', 'ev_id')) named (tab, col)
        where pg_catalog.to_regclass(named.tab) is not null
    loop
        -- Others may take numbers during the repair, so the sequence skips 1,000 of them.
        execute pg_catalog.format(
            'select pg_catalog.setval($1, pg_catalog.max(%1$I) + 1000) from %2$s '
            'having pg_catalog.max(%1$I) > coalesce(pg_catalog.pg_sequence_last_value($1), 0)', behind.col, behind.tab)
        using behind.name::pg_catalog.regclass;
    end loop;
end
$$;
