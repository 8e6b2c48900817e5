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
    sub pgq.subscription;
    ticks record;
begin
    -- Of two sessions that come at once the second waits here, and then finds the first one's batch. So the
    -- ticks are looked up by a statement of its own, which sees what was committed meanwhile.
    select s.* into sub
    from pgq.queue q
    join pgq.consumer c on c.co_name = i_consumer_name
    join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
    where q.queue_name = i_queue_name
    for update of s;
    if sub.sub_queue is null then
        raise exception 'Not subscriber to queue: %/%', coalesce(i_queue_name, 'NULL'),
            coalesce(i_consumer_name, 'NULL');
    end if;

    -- Where the consumer stands; and where its open batch ends, or else the next tick.
    select b.tick_id as begin_id, b.tick_time as begin_time, b.tick_event_seq as begin_seq,
           e.tick_id as end_id, e.tick_time as end_time, e.tick_event_seq as end_seq
    into ticks
    from pgq.tick b
    left join lateral (
        select t.tick_id, t.tick_time, t.tick_event_seq from pgq.tick t
        where t.tick_queue = b.tick_queue and t.tick_id >= coalesce(sub.sub_next_tick, b.tick_id + 1)
          and t.tick_id = coalesce(sub.sub_next_tick, t.tick_id)
        order by t.tick_id limit 1) e on true
    where b.tick_queue = sub.sub_queue and b.tick_id = sub.sub_last_tick;
    if ticks.begin_id is null then
        raise exception 'PgQ corruption: Consumer % on queue % does not see tick %', i_consumer_name,
            i_queue_name, ticks.begin_id;
    end if;

    if sub.sub_batch is null then
        if num_nonnulls(i_min_count, i_min_interval) > 0 then
            select next_tick_id, next_tick_time, next_tick_seq
            into ticks.end_id, ticks.end_time, ticks.end_seq
            from pgq.find_tick_helper(sub.sub_queue, ticks.begin_id, ticks.begin_time, ticks.begin_seq,
                                      i_min_count, i_min_interval);
        end if;
        if ticks.end_id is null or ticks.end_time > now() - i_min_lag then
            return;
        end if;
        update pgq.subscription s
        set sub_active = now(), sub_next_tick = ticks.end_id, sub_batch = nextval('pgq.batch_id_seq')
        where s.sub_queue = sub.sub_queue and s.sub_consumer = sub.sub_consumer
        returning s.sub_batch into sub.sub_batch;
    end if;

    batch_id := sub.sub_batch;
    prev_tick_id := ticks.begin_id;
    prev_tick_time := ticks.begin_time;
    prev_tick_event_seq := ticks.begin_seq;
    cur_tick_id := ticks.end_id;
    cur_tick_time := ticks.end_time;
    cur_tick_event_seq := ticks.end_seq;
end
$$;
