-- Moves the sequences of tick ids and of event ids of all queues past the ids in use.
do $$
declare
    que record;
    newest record;
    part pg_catalog.text;
    last_id pg_catalog.int8;
begin
    for que in select q.* from pgq.queue q order by q.queue_id loop
        select t.tick_id, t.tick_event_seq into newest from pgq.tick t
        where t.tick_queue = que.queue_id order by t.tick_id desc limit 1;
        if pg_catalog.to_regclass(que.queue_tick_seq) is not null
            and coalesce(pg_catalog.pg_sequence_last_value(que.queue_tick_seq::pg_catalog.regclass), 0) < newest.tick_id
        then
            perform pg_catalog.setval(que.queue_tick_seq::pg_catalog.regclass,
                                      greatest(pgq.seq_getval(que.queue_tick_seq), newest.tick_id));
        end if;
        continue when pg_catalog.to_regclass(que.queue_event_seq) is null;
        last_id := newest.tick_event_seq;
        for part in
            select pgq.quote_fqname(que.queue_data_pfx || '_'::pg_catalog.text || number::pg_catalog.text)
            from pg_catalog.generate_series(0, que.queue_ntables - 1) number
        loop
            continue when pg_catalog.to_regclass(part) is null;
            execute pg_catalog.format('select greatest($1, pg_catalog.max(ev_id)) from %s', part)
            into last_id using last_id;
        end loop;
        -- Producers may take ids during the repair, so the sequence skips 1,000 of them.
        if coalesce(pg_catalog.pg_sequence_last_value(que.queue_event_seq::pg_catalog.regclass), 0) < last_id then
            perform pg_catalog.setval(que.queue_event_seq::pg_catalog.regclass,
                                      greatest(pgq.seq_getval(que.queue_event_seq), last_id + 1000));
        end if;
    end loop;
end
$$;
