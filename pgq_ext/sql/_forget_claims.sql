-- Removes the claimed events of one batch. Internal.
create or replace function pgq_ext._forget_claims(a_queue text, a_consumer text, a_batch_id bigint)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    delete from pgq_ext.claimed_event done
    where done.queue_name = a_queue
      and done.consumer_id = a_consumer
      and done.batch_id = a_batch_id;
end
$$;
