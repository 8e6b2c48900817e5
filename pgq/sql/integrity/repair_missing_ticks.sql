-- Recreates missing ticks that are positions of consumers or ends of their batches.
--
-- A position gets the snapshot of the tick before it, so that events in between are redelivered; without such a tick it
-- gets an empty snapshot. The end of a batch gets the snapshot of the next tick. Without a next tick the batch is closed,
-- and its events are redelivered.
do $$
declare
    lost record;
begin
    for lost in
        select needed.queue, needed.tick, pg_catalog.bool_or(needed.is_position) as is_position
        from (
            select sub_queue, sub_last_tick, true from pgq.subscription
            union all
            select sub_queue, sub_next_tick, false from pgq.subscription) needed (queue, tick, is_position)
        where needed.tick is not null
          and not exists (select from pgq.tick t where t.tick_queue = needed.queue and t.tick_id = needed.tick)
        group by needed.queue, needed.tick
        order by needed.queue, needed.tick
    loop
        insert into pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq)
        select lost.queue, lost.tick, t.tick_time, t.tick_snapshot, t.tick_event_seq
        from pgq.tick t
        where t.tick_queue = lost.queue and (t.tick_id < lost.tick) = lost.is_position
        order by pg_catalog.abs(t.tick_id - lost.tick) limit 1;
        if not found and lost.is_position then
            insert into pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq)
            select lost.queue, lost.tick,
                   coalesce(pg_catalog.min(t.tick_time), pg_catalog.now()), '1:1:'::pg_catalog.txid_snapshot,
                   coalesce(pg_catalog.min(t.tick_event_seq), 0)
            from pgq.tick t where t.tick_queue = lost.queue;
        elsif not found then
            update pgq.subscription set sub_batch = null, sub_next_tick = null
            where sub_queue = lost.queue and sub_next_tick = lost.tick;
        end if;
    end loop;
end
$$;
