-- Deletes failed events that failed before x_before, or at any time if x_before is null. Of several with one id it
-- deletes all. Returns the number that it deleted.
--
-- Errors: the consumer is not registered on the queue.
create or replace function pgq.failed_event_delete_many(
    x_queue_name text, x_consumer_name text, x_event_ids bigint[], x_before timestamptz)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    owner constant integer := pgq._failed_event_owner(x_queue_name, x_consumer_name);
    deleted integer;
begin
    delete from pgq.failed_queue where ev_owner = owner and ev_id = any (x_event_ids)
        and (x_before is null or ev_failed_time < x_before);
    get diagnostics deleted = row_count;
    return deleted;
end
$$;

create or replace function pgq.failed_event_delete_many(
    x_queue_name text, x_consumer_name text, x_event_ids bigint[])
returns integer
language sql set search_path = pg_catalog, pg_temp
as $$
    select pgq.failed_event_delete_many(x_queue_name, x_consumer_name, x_event_ids, null::pg_catalog.timestamptz)
$$;
