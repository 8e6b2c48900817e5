-- Describes an open batch; all nulls when there is no such batch.
create or replace function pgq.get_batch_info(
    x_batch_id bigint, out queue_name text, out consumer_name text, out batch_start timestamptz,
    out batch_end timestamptz, out prev_tick_id bigint, out tick_id bigint, out lag interval,
    out seq_start bigint, out seq_end bigint)
returns record
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
#variable_conflict use_column
begin
    select que.queue_name, co_name, first.tick_time, last.tick_time, first.tick_id, last.tick_id,
           now() - last.tick_time, first.tick_event_seq, last.tick_event_seq
    into queue_name, consumer_name, batch_start, batch_end, prev_tick_id, tick_id, lag, seq_start, seq_end
    from pgq.subscription
    join pgq.queue que on queue_id = sub_queue
    join pgq.consumer on co_id = sub_consumer
    join pgq.tick first on first.tick_queue = sub_queue and first.tick_id = sub_last_tick
    join pgq.tick last on last.tick_queue = sub_queue and last.tick_id = sub_next_tick
    where sub_batch = x_batch_id;
end
$$;
