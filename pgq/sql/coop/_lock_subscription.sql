-- Returns the row of a consumer or subconsumer, locked until the end of the transaction, or nulls when there
-- is none. Internal.
create or replace function pgq_coop._lock_subscription(i_queue_name text, i_name text)
returns pgq.subscription
language sql set search_path = pg_catalog, pg_temp
as $$
    select sub
    from pgq.queue
    join pgq.subscription sub on sub.sub_queue = queue_id
    join pgq.consumer on co_id = sub.sub_consumer
    where queue_name = i_queue_name and co_name = i_name
    for no key update of sub
$$;
