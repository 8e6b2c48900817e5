-- Returns the row of a consumer or subconsumer, locked until the end of the transaction, or nulls when there
-- is none. Internal.
create or replace function pgq_coop._lock_subscription(i_queue_name text, i_name text)
returns pgq.subscription
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    sub pgq.subscription;
begin
    select own.* into sub
    from pgq.queue
    join pgq.consumer on co_name = i_name
    cross join lateral (
        select s.* from pgq.subscription s where s.sub_queue = queue_id and s.sub_consumer = co_id
        order by s.sub_active desc limit 1 for no key update) own
    where queue_name = i_queue_name;
    return sub;
end
$$;
