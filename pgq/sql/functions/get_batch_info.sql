-- Describes an open batch. Returns nulls if the batch does not exist.
create or replace function pgq.get_batch_info(
    x_batch_id bigint, out queue_name text, out consumer_name text, out batch_start timestamptz,
    out batch_end timestamptz, out prev_tick_id bigint, out tick_id bigint, out lag interval,
    out seq_start bigint, out seq_end bigint)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set jit = off
as $$
#variable_conflict use_column
declare
    sub pgq.subscription;
begin
    select s.* into sub from pgq.subscription s where s.sub_batch = x_batch_id;
    select b.tick_id, b.tick_time, b.tick_event_seq, e.tick_id, e.tick_time, e.tick_event_seq,
           case when pg_catalog.isfinite(e.tick_time) then now() - e.tick_time end, q.queue_name, c.co_name
    into prev_tick_id, batch_start, seq_start, tick_id, batch_end, seq_end, lag, queue_name, consumer_name
    from pgq.queue q, pgq.consumer c, pgq.tick b, pgq.tick e
    where q.queue_id = sub.sub_queue and c.co_id = sub.sub_consumer
      and b.tick_queue = sub.sub_queue and b.tick_id = sub.sub_last_tick
      and e.tick_queue = sub.sub_queue and e.tick_id = sub.sub_next_tick;
end
$$;
