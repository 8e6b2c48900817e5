-- Deletes failed events. Returns how many of them there were.
--
-- Errors: the consumer is not registered on the queue.
create or replace function pgq.failed_event_delete_many(
    x_queue_name text, x_consumer_name text, x_event_ids bigint[])
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    owner constant integer := pgq._failed_event_owner(x_queue_name, x_consumer_name);
    deleted integer;
begin
    delete from pgq.failed_queue where ev_owner = owner and ev_id = any (x_event_ids);
    get diagnostics deleted = row_count;
    return deleted;
end
$$;
