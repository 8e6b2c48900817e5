-- Registers a consumer at a tick, or moves a registered one there and discards its open batch; with null, a
-- new one starts at the last tick and a registered one stays. Returns 1, or 0 when it was registered already.
-- Fails when the queue or the tick does not exist, or the id for the registration is another consumer's.
create or replace function pgq.register_consumer_at(
    x_queue_name text, x_consumer_name text, x_tick_pos bigint)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    queue integer;
    consumer integer;
    had pgq.subscription;
    start_tick bigint;
    own_id integer;
begin
    select q.queue_id into queue from pgq.queue q where q.queue_name = x_queue_name;
    if queue is null then
        raise exception 'Event queue not created yet';
    end if;
    select c.co_id into consumer from pgq.consumer c where c.co_name = x_consumer_name for key share;
    if consumer is null then
        insert into pgq.consumer (co_name) values (x_consumer_name)
        on conflict (co_name) do update set co_name = excluded.co_name
        returning co_id into consumer;
    end if;
    if x_tick_pos is null
        and exists (select from pgq.subscription s where s.sub_queue = queue and s.sub_consumer = consumer)
    then
        return 0;
    end if;
    -- Prevents a rotation, which deletes ticks, until the subscription that needs the tick is committed (DESIGN.md, D46).
    update pgq.queue q set queue_name = q.queue_name where q.queue_name = x_queue_name;

    select max(t.tick_id) into start_tick from pgq.tick t
    where t.tick_queue = queue and (x_tick_pos is null or t.tick_id = x_tick_pos);
    if x_tick_pos is not null then
        if start_tick is null then
            raise exception 'cannot reposition, tick not found: %', x_tick_pos;
        end if;
        select s.* into had from pgq.subscription s where s.sub_queue = queue and s.sub_consumer = consumer
        order by s.sub_active desc limit 1 for update;
        if found then
            update pgq.subscription s
            set (sub_batch, sub_last_tick, sub_next_tick, sub_active) = (null, start_tick, null, now())
            where s.sub_queue = queue and s.sub_consumer = consumer and s.sub_active = had.sub_active;
            return 0;
        end if;
    elsif start_tick is null then
        raise exception 'No ticks for this queue.  Please run ticker on database.';
    end if;
    -- The second of two concurrent sessions waits here.
    insert into pgq.registration (reg_queue, reg_consumer) values (queue, consumer) on conflict do nothing;
    if not found
        and exists (select from pgq.subscription s where s.sub_queue = queue and s.sub_consumer = consumer)
    then
        return 0;
    end if;
    insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick) values (queue, consumer, start_tick)
    returning sub_id into own_id;
    -- Consumers that share an id would share retry events, and unregistering one would remove both.
    if exists (
        select from pgq.subscription s
        where s.sub_id = own_id and (s.sub_queue <> queue or s.sub_consumer <> consumer))
    then
        raise exception 'cannot register consumer %: id % belongs to another consumer, the sequence of ids is behind',
            x_consumer_name, own_id
            using errcode = 'data_corrupted',
                  hint = 'The database was moved here; run "pgqadm CONFIG.ini repair".';
    end if;
    return 1;
end
$$;
