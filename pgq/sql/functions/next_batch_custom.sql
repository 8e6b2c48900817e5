-- Opens the consumer's next batch, or returns the one that it has open. The batch ends at the next tick, or
-- with `i_min_count` or `i_min_interval` at the first one that is so many events or so much time away; with
-- `i_min_lag` that tick has to be at least so old. All nulls when there is no such tick. Fails when the
-- consumer is not registered.
create or replace function pgq.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_min_lag interval, i_min_count integer, i_min_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint, out cur_tick_time timestamptz,
    out prev_tick_time timestamptz, out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    sub record;
begin
    -- Of two sessions that come at once the second waits here, and then finds the first one's batch.
    select sub_queue, sub_consumer, sub_last_tick, sub_batch, sub_next_tick into sub
    from pgq.subscription
    join pgq.queue on queue_id = sub_queue
    join pgq.consumer on co_id = sub_consumer
    where queue_name = i_queue_name and co_name = i_consumer_name
    for update of subscription;
    if not found then
        raise exception 'Not subscriber to queue: %/%', coalesce(i_queue_name, 'NULL'),
            coalesce(i_consumer_name, 'NULL');
    end if;
    select tick_id, tick_time, tick_event_seq into prev_tick_id, prev_tick_time, prev_tick_event_seq
    from pgq.tick where tick_queue = sub.sub_queue and tick_id = sub.sub_last_tick;
    if not found then
        raise exception 'PgQ corruption: Consumer % on queue % does not see tick %', i_consumer_name,
            i_queue_name, prev_tick_id;
    end if;

    if sub.sub_batch is not null then
        batch_id := sub.sub_batch;
        select tick_id, tick_time, tick_event_seq into cur_tick_id, cur_tick_time, cur_tick_event_seq
        from pgq.tick where tick_queue = sub.sub_queue and tick_id = sub.sub_next_tick;
        return;
    end if;

    if i_min_count is null and i_min_interval is null then
        select tick_id, tick_time, tick_event_seq into cur_tick_id, cur_tick_time, cur_tick_event_seq
        from pgq.tick where tick_queue = sub.sub_queue and tick_id > sub.sub_last_tick
        order by tick_queue, tick_id limit 1;
    else
        select next_tick_id, next_tick_time, next_tick_seq into cur_tick_id, cur_tick_time, cur_tick_event_seq
        from pgq.find_tick_helper(sub.sub_queue, prev_tick_id, prev_tick_time, prev_tick_event_seq,
                                  i_min_count, i_min_interval);
    end if;
    if cur_tick_id is null or cur_tick_time > now() - i_min_lag then
        prev_tick_id := null;
        prev_tick_time := null;
        prev_tick_event_seq := null;
        cur_tick_id := null;
        cur_tick_time := null;
        cur_tick_event_seq := null;
        return;
    end if;

    batch_id := nextval('pgq.batch_id_seq');
    update pgq.subscription
    set sub_batch = batch_id, sub_next_tick = cur_tick_id, sub_active = now()
    where sub_queue = sub.sub_queue and sub_consumer = sub.sub_consumer;
end
$$;
