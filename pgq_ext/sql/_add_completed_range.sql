-- Adds a batch to the ranges of ticks that a remote consumer has applied (DESIGN.md, D26). Internal.
--
-- With subconsumers there are holes while one of them works on an earlier batch. The batches of a consumer without
-- subconsumers follow each other; there, a hole stands for batches that an operator left out or another program applied,
-- and is closed.
create or replace function pgq_ext._add_completed_range(
    a_consumer text, a_subconsumer text,
    a_prev_tick_id bigint, a_prev_tick_time timestamptz, a_tick_id bigint, a_tick_time timestamptz)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    added constant int8multirange := int8multirange(int8range(a_prev_tick_id, a_tick_id));
    had pgq_ext.completed_range;
    had_tick_id bigint;
    is_locked boolean := false;
begin
    loop
        select * into had from pgq_ext.completed_range done where done.consumer_id = a_consumer
        order by done.last_tick_id desc limit 1 for no key update;
        exit when found or is_locked;
        perform pgq_ext._lock_key('completed_range', a_consumer);
        is_locked := true;
    end loop;
    if not found then
        insert into pgq_ext.completed_range (consumer_id, ticks, last_tick_id, last_tick_time)
        values (a_consumer, added, a_tick_id, a_tick_time);
        return;
    end if;
    had_tick_id := had.last_tick_id;
    if a_prev_tick_id < had.last_tick_id and a_prev_tick_time >= had.last_tick_time then
        -- The batch is later and has lower numbers, so it is of a queue that was created again.
        had.ticks := added;
        had.last_tick_id := null;
    else
        had.ticks := had.ticks + added;
    end if;
    if a_subconsumer = '' then
        had.ticks := int8multirange(range_merge(had.ticks));
    else
        -- Only 500 ranges are kept: an earlier hole cannot be a batch in progress.
        had.ticks := had.ticks + int8multirange(int8range(lower(had.ticks), coalesce(
            (select lower(part) from unnest(had.ticks) part order by part desc offset 500 limit 1), lower(had.ticks))));
    end if;
    if had.last_tick_id is null or a_tick_id > had.last_tick_id then
        had.last_tick_id := a_tick_id;
        had.last_tick_time := a_tick_time;
    end if;
    update pgq_ext.completed_range done
    set ticks = had.ticks, last_tick_id = had.last_tick_id, last_tick_time = had.last_tick_time
    where done.consumer_id = a_consumer and done.last_tick_id = had_tick_id;
end
$$;
