-- Returns the sub_id under which a consumer's failed events are kept. Internal.
--
-- Errors: the consumer is not registered on the queue.
create or replace function pgq._failed_event_owner(x_queue_name text, x_consumer_name text)
returns integer
language plpgsql stable set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    owner integer;
begin
    select own.sub_id into owner
    from pgq.queue
    join pgq.consumer on co_name = x_consumer_name
    cross join lateral (
        select sub_id from pgq.subscription where sub_queue = queue_id and sub_consumer = co_id
        order by sub_active desc limit 1) own
    where queue_name = x_queue_name;
    if not found then
        raise exception 'consumer `%` is not registered on queue `%`', x_consumer_name, x_queue_name
            using errcode = 'undefined_object';
    end if;
    return owner;
end
$$;
