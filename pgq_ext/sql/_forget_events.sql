-- Removes the applied events of one batch. Internal.
create or replace function pgq_ext._forget_events(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    delete from pgq_ext.completed_event done
    where done.consumer_id = a_consumer
      and done.subconsumer_id = a_subconsumer
      and done.batch_id = a_batch_id;
end
$$;
