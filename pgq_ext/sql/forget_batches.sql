-- Forgets all batches and events that the consumer and its subconsumers have applied. Returns the number of
-- forgotten batches.
create or replace function pgq_ext.forget_batches(a_consumer text)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    forgotten integer;
begin
    perform pgq_ext._wait_for_disk();
    delete from pgq_ext.completed_batch where consumer_id = a_consumer;
    get diagnostics forgotten = row_count;
    delete from pgq_ext.partial_batch where consumer_id = a_consumer;
    delete from pgq_ext.checkpoint where consumer_id = a_consumer and kind <> 'tick';
    delete from pgq_ext.completed_range where consumer_id = a_consumer;
    delete from pgq_ext.completed_event where consumer_id = a_consumer;
    delete from pgq_ext.claimed_batch where consumer_id = a_consumer;
    delete from pgq_ext.claimed_event where consumer_id = a_consumer;
    return forgotten;
end
$$;
