-- Describes an open batch. Returns nulls if the batch does not exist.
create or replace function pgq.get_batch_info(
    x_batch_id bigint, out queue_name text, out consumer_name text, out batch_start timestamptz,
    out batch_end timestamptz, out prev_tick_id bigint, out tick_id bigint, out lag interval,
    out seq_start bigint, out seq_end bigint)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
#variable_conflict use_column
begin
    select b.tick_id, b.tick_time, b.tick_event_seq, e.tick_id, e.tick_time, e.tick_event_seq,
           case when pg_catalog.isfinite(e.tick_time) then now() - e.tick_time end, q.queue_name, c.co_name
    into prev_tick_id, batch_start, seq_start, tick_id, batch_end, seq_end, lag, queue_name, consumer_name
    from pgq.subscription s
    join pgq.queue q on q.queue_id = s.sub_queue
    join pgq.consumer c on c.co_id = s.sub_consumer
    join pgq.tick b on b.tick_queue = s.sub_queue and b.tick_id = s.sub_last_tick
    join pgq.tick e on e.tick_queue = s.sub_queue and e.tick_id = s.sub_next_tick
    where s.sub_batch = x_batch_id;
end
$$;
