-- Takes the oldest batch of a dead subconsumer from it, and unregisters it. Internal.
--
-- Returns the dead subconsumer's row before the change, or nulls when no subconsumer is dead.
create or replace function pgq_coop._take_from_dead(
    i_consumer_name text, i_taker pgq.subscription, i_dead_interval interval)
returns pgq.subscription
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    dead pgq.subscription;
begin
    -- A row that another session has locked belongs to a live subconsumer.
    select sub.* into dead
    from pgq.subscription sub join pgq.consumer on co_id = sub_consumer
    where sub_queue = i_taker.sub_queue and sub_id = i_taker.sub_id and sub_consumer <> i_taker.sub_consumer
      and starts_with(co_name, i_consumer_name || '.')
      and sub_batch is not null and sub_active < now() - i_dead_interval
    order by sub_last_tick
    limit 1
    for no key update of sub skip locked;
    delete from pgq.subscription
    where sub_queue = dead.sub_queue and sub_consumer = dead.sub_consumer;
    return dead;
end
$$;
