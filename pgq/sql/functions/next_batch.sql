-- Opens the consumer's next batch, which ends at the next tick, and returns its id. Returns the id of the
-- consumer's open batch if it has one; null when there is no next tick. Fails when the consumer is not registered.
create or replace function pgq.next_batch(i_queue_name text, i_consumer_name text)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return (select batch_id from pgq.next_batch_custom(i_queue_name, i_consumer_name, null, null, null));
end
$$;
