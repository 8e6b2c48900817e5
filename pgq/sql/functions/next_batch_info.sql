-- Opens the consumer's next batch, which ends at the next tick, or returns its open batch. Returns nulls
-- when there is no next tick. Fails when the consumer is not registered.
create or replace function pgq.next_batch_info(
    i_queue_name text, i_consumer_name text,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint, out cur_tick_time timestamptz,
    out prev_tick_time timestamptz, out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    select * from pgq.next_batch_custom(i_queue_name, i_consumer_name, null, null, null)
    into batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, cur_tick_event_seq,
         prev_tick_event_seq;
end
$$;
