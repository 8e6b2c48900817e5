-- Gives a subconsumer a batch: the one that it has open already, else that of a dead subconsumer, else the
-- consumer's next one.
--
-- i_min_lag, i_min_count and i_min_interval are those of pgq.next_batch_custom. A subconsumer that has had a
-- batch open for longer than i_dead_interval without a sign of life is dead, and its batch is taken over
-- under the same id; null takes over none. A sign of life is a call of this function. A batch that the
-- consumer itself has open, from a time without subconsumers, goes to the first subconsumer that asks.
--
-- Returns the columns of pgq.next_batch_custom. The batch's id is null when there is no batch.
--
-- Errors: the consumer or the subconsumer is not registered on the queue.
create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count integer, i_min_interval interval, i_dead_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    main record;
    own record;
    holder record;
begin
    -- All that hand out batches of one consumer take turns here. Who holds this row may wait for those of
    -- subconsumers, and nobody the other way round.
    select sub.sub_queue, sub.sub_consumer, sub.sub_id into main
    from pgq.queue
    join pgq.subscription sub on sub.sub_queue = queue_id
    join pgq.consumer on co_id = sub.sub_consumer
    where queue_name = i_queue_name and co_name = i_consumer_name
    for no key update of sub;
    if not found then
        raise exception 'consumer `%` is not registered on queue `%`', i_consumer_name, i_queue_name
            using errcode = 'undefined_object';
    end if;
    select sub.* into own
    from pgq.subscription sub join pgq.consumer on co_id = sub.sub_consumer
    where sub.sub_queue = main.sub_queue and sub.sub_id = main.sub_id
      and co_name = i_consumer_name || '.' || i_subconsumer_name
    for no key update of sub;
    if not found then
        raise exception 'subconsumer `%` of consumer `%` is not registered on queue `%`',
            i_subconsumer_name, i_consumer_name, i_queue_name using errcode = 'undefined_object';
    end if;

    if own.sub_batch is null then
        -- A row that somebody else has locked belongs to one who is alive.
        select sub.sub_consumer, sub.sub_batch, sub.sub_last_tick, sub.sub_next_tick into holder
        from pgq.subscription sub
        where sub.sub_queue = main.sub_queue and sub.sub_id = main.sub_id
          and sub.sub_consumer not in (main.sub_consumer, own.sub_consumer)
          and sub.sub_batch is not null and sub.sub_active < now() - i_dead_interval
        order by sub.sub_last_tick
        limit 1
        for no key update skip locked;
        if found then
            update pgq.subscription sub
            set sub_last_tick = null, sub_batch = null, sub_next_tick = null
            where sub.sub_queue = main.sub_queue and sub.sub_consumer = holder.sub_consumer;
        else
            select main.sub_consumer, opened.batch_id as sub_batch, opened.prev_tick_id as sub_last_tick,
                   opened.cur_tick_id as sub_next_tick
            into holder
            from pgq.next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval)
                opened;
            if holder.sub_batch is not null then
                update pgq.subscription sub
                set sub_last_tick = holder.sub_next_tick, sub_batch = null, sub_next_tick = null
                where sub.sub_queue = main.sub_queue and sub.sub_consumer = main.sub_consumer;
            end if;
        end if;
        own.sub_batch := holder.sub_batch;
        own.sub_last_tick := case when holder.sub_batch is not null then holder.sub_last_tick end;
        own.sub_next_tick := case when holder.sub_batch is not null then holder.sub_next_tick end;
    end if;

    -- Without a batch there is nothing to write, unless pgq.finish_batch has left a tick behind.
    update pgq.subscription sub
    set sub_active = clock_timestamp(), sub_batch = own.sub_batch,
        sub_last_tick = own.sub_last_tick, sub_next_tick = own.sub_next_tick
    where sub.sub_queue = own.sub_queue and sub.sub_consumer = own.sub_consumer
      and (own.sub_batch is not null or sub.sub_last_tick is not null);

    select own.sub_batch, cur.tick_id, cur.tick_time, cur.tick_event_seq,
           prev.tick_id, prev.tick_time, prev.tick_event_seq
    into batch_id, cur_tick_id, cur_tick_time, cur_tick_event_seq,
         prev_tick_id, prev_tick_time, prev_tick_event_seq
    from pgq.tick cur, pgq.tick prev
    where cur.tick_queue = own.sub_queue and cur.tick_id = own.sub_next_tick
      and prev.tick_queue = own.sub_queue and prev.tick_id = own.sub_last_tick;
end
$$;

create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count integer, i_min_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record
language sql
as $$
    select * from pgq_coop.next_batch_custom($1, $2, $3, $4, $5, $6, null)
$$;
