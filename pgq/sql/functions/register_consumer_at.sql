-- Registers a consumer at a tick, or moves a registered one there and forgets its open batch; with null, a
-- new one stands at the last tick and a registered one stays. Returns 1, or 0 when it was registered already.
-- Fails when there is no such queue or tick.
create or replace function pgq.register_consumer_at(
    x_queue_name text, x_consumer_name text, x_tick_pos bigint)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    queue integer;
    consumer integer;
    start_tick bigint := x_tick_pos;
begin
    select queue_id into queue from pgq.queue where queue_name = x_queue_name;
    if not found then
        raise exception 'Event queue not created yet';
    end if;
    select co_id into consumer from pgq.consumer where co_name = x_consumer_name for key share;
    if not found then
        insert into pgq.consumer (co_name) values (x_consumer_name)
        on conflict (co_name) do update set co_name = excluded.co_name
        returning co_id into consumer;
    end if;
    if x_tick_pos is null
        and exists (select from pgq.subscription where sub_queue = queue and sub_consumer = consumer)
    then
        return 0;
    end if;
    -- Keeps a rotation, which deletes ticks, out until the subscription that needs the tick is committed. One
    -- that keeps an older snapshot, and so would not see the subscription, fails on the changed row.
    update pgq.queue set queue_name = queue_name where queue_name = x_queue_name;
    if x_tick_pos is not null
        and not exists (select from pgq.tick where tick_queue = queue and tick_id = x_tick_pos)
    then
        raise exception 'cannot reposition, tick not found: %', x_tick_pos;
    end if;

    perform from pgq.subscription where sub_queue = queue and sub_consumer = consumer for update;
    if found then
        if x_tick_pos is not null then
            update pgq.subscription
            set sub_last_tick = x_tick_pos, sub_batch = null, sub_next_tick = null, sub_active = now()
            where sub_queue = queue and sub_consumer = consumer;
        end if;
        return 0;
    end if;

    if start_tick is null then
        select tick_id into start_tick from pgq.tick
        where tick_queue = queue order by tick_queue desc, tick_id desc limit 1;
        if not found then
            raise exception 'No ticks for this queue.  Please run ticker on database.';
        end if;
    end if;
    insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick) values (queue, consumer, start_tick)
    on conflict (sub_queue, sub_consumer) do nothing;
    return found::integer;
end
$$;
