-- Adds the constraints that a dump of the schema may have omitted.
do $$
declare
    missing pg_catalog.text;
begin
    for missing in
        select pg_catalog.format('alter table pgq.%I add constraint %I %s', tab, name, definition)
        from (values
            ('consumer', 'consumer_pkey', 'primary key (co_id)'),
            ('consumer', 'consumer_name_uq', 'unique (co_name)'),
            ('queue', 'queue_pkey', 'primary key (queue_id)'),
            ('queue', 'queue_name_uq', 'unique (queue_name)'),
            ('tick', 'tick_pkey', 'primary key (tick_queue, tick_id)'),
            ('registration', 'registration_pkey', 'primary key (reg_queue, reg_consumer)'),
            ('retry_queue', 'rq_pkey', 'primary key (ev_owner, ev_id, ev_retry_after)'),
            ('tick', 'tick_queue_fkey', 'foreign key (tick_queue) references pgq.queue (queue_id)'),
            ('subscription', 'sub_queue_fkey', 'foreign key (sub_queue) references pgq.queue (queue_id)'),
            ('subscription', 'sub_consumer_fkey', 'foreign key (sub_consumer) references pgq.consumer (co_id)'),
            ('retry_queue', 'rq_queue_id_fkey', 'foreign key (ev_queue) references pgq.queue (queue_id)')
        ) wanted (tab, name, definition)
        where not exists (
            select from pg_catalog.pg_constraint c
            where c.conrelid = ('pgq.' || tab)::pg_catalog.regclass and c.conname = wanted.name)
    loop
        execute missing;
    end loop;
end
$$;
