-- Takes the oldest batch of a dead subconsumer from it, and unregisters it. Internal.
--
-- Returns the dead subconsumer's row before the change, or nulls when no subconsumer is dead.
create or replace function pgq_coop._take_from_dead(
    i_consumer_name text, i_taker pgq.subscription, i_dead_interval interval)
returns pgq.subscription
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    silent pgq.subscription;
    dead pgq.subscription;
begin
    for silent in
        select own.* from pgq.consumer
        cross join lateral (
            select * from pgq.subscription where sub_queue = i_taker.sub_queue and sub_consumer = co_id
            order by sub_active desc limit 1) own
        where starts_with(co_name, i_consumer_name || '.')
          and own.sub_id = i_taker.sub_id and own.sub_consumer <> i_taker.sub_consumer
          and own.sub_batch is not null and own.sub_active < now() - i_dead_interval
        order by own.sub_last_tick
    loop
        -- A row that another session has locked belongs to a live subconsumer.
        select * into dead from pgq.subscription
        where sub_queue = silent.sub_queue and sub_consumer = silent.sub_consumer
          and sub_active = silent.sub_active and sub_batch = silent.sub_batch
        for no key update skip locked;
        if found then
            delete from pgq.subscription where sub_batch = dead.sub_batch;
            return dead;
        end if;
    end loop;
    return null;
end
$$;
