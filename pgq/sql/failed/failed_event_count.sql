-- Returns the number of a consumer's failed events.
--
-- Errors: the consumer is not registered on the queue.
create or replace function pgq.failed_event_count(x_queue_name text, x_consumer_name text)
returns integer
language plpgsql stable security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    owner constant integer := pgq._failed_event_owner(x_queue_name, x_consumer_name);
begin
    return (select count(*) from pgq.failed_queue where ev_owner = owner);
end
$$;
