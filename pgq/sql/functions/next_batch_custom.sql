-- Opens the consumer's next batch, or returns the one that it has open. The batch ends at the next tick, or
-- with `i_min_count` or `i_min_interval` at the first one that is that many events or that much time away; with
-- `i_min_lag` that tick must be at least that old. Returns nulls if there is no such tick yet. Fails when the
-- consumer is not registered.
create or replace function pgq.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_min_lag interval, i_min_count integer, i_min_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint, out cur_tick_time timestamptz,
    out prev_tick_time timestamptz, out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    sub pgq.subscription;
begin
    -- The second of two concurrent sessions waits here, and then finds the batch of the first.
    select own.* into sub
    from pgq.queue q
    join pgq.consumer c on c.co_name = i_consumer_name
    cross join lateral (
        select s.* from pgq.subscription s where s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
        order by s.sub_active desc limit 1 for update) own
    where q.queue_name = i_queue_name;
    if sub.sub_queue is null then
        raise exception 'Not subscriber to queue: %/%', coalesce(i_queue_name, 'NULL'),
            coalesce(i_consumer_name, 'NULL');
    end if;
    select t.tick_id, t.tick_time, t.tick_event_seq into prev_tick_id, prev_tick_time, prev_tick_event_seq
    from pgq.tick t where t.tick_queue = sub.sub_queue and t.tick_id = sub.sub_last_tick;
    if prev_tick_id is null then
        raise exception 'PgQ corruption: Consumer % on queue % does not see tick %', i_consumer_name,
            i_queue_name, prev_tick_id;
    end if;

    if sub.sub_batch is not null then
        select t.tick_id, t.tick_time, t.tick_event_seq into cur_tick_id, cur_tick_time, cur_tick_event_seq
        from pgq.tick t where t.tick_queue = sub.sub_queue and t.tick_id = sub.sub_next_tick;
        batch_id := sub.sub_batch;
        return;
    elsif num_nonnulls(i_min_count, i_min_interval) > 0 then
        select h.* into cur_tick_id, cur_tick_time, cur_tick_event_seq
        from pgq.find_tick_helper(sub.sub_queue, prev_tick_id, prev_tick_time, prev_tick_event_seq,
                                  i_min_count, i_min_interval) h;
    else
        select t.tick_id, t.tick_time, t.tick_event_seq into cur_tick_id, cur_tick_time, cur_tick_event_seq
        from pgq.tick t where t.tick_queue = sub.sub_queue and t.tick_id > prev_tick_id
        order by t.tick_id limit 1;
    end if;

    if cur_tick_id is not null and (cur_tick_time > now() - i_min_lag) is not true then
        update pgq.subscription s
        set sub_active = now(), sub_next_tick = cur_tick_id, sub_batch = nextval('pgq.batch_id_seq')
        where s.sub_queue = sub.sub_queue and s.sub_consumer = sub.sub_consumer and s.sub_active = sub.sub_active
        returning s.sub_batch into batch_id;
        return;
    end if;
    prev_tick_id := null;
    prev_tick_time := null;
    prev_tick_event_seq := null;
    cur_tick_id := null;
    cur_tick_time := null;
    cur_tick_event_seq := null;
end
$$;
