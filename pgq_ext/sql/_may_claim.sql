-- Returns whether the process that has opened a batch at this time may claim its events. Internal.
create or replace function pgq_ext._may_claim(
    a_queue text, a_consumer text, a_batch_id bigint, a_tick_id bigint, a_tick_time timestamptz, a_opened_at timestamptz)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    return exists (
        select from pgq_ext.claimed_batch batch
        where batch.queue_name = a_queue
          and batch.consumer_id = a_consumer
          and batch.batch_id = a_batch_id
          and batch.tick_id = a_tick_id
          and batch.tick_time = a_tick_time
          and batch.opened_at = a_opened_at);
end
$$;
