-- Finds the first tick after the given one that is `i_min_count` events or `i_min_interval` away. Returns nulls if
-- there is none.
--
-- Returns the last tick instead while it is at most twice `i_min_count` events and twice `i_min_interval` away.
create or replace function pgq.find_tick_helper(
    i_queue_id integer, i_prev_tick_id bigint, i_prev_tick_time timestamptz, i_prev_tick_seq bigint,
    i_min_count bigint, i_min_interval interval,
    out next_tick_id bigint, out next_tick_time timestamptz, out next_tick_seq bigint)
returns record
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    newest pgq.tick;
    events bigint;
    span interval;
begin
    select t.* into newest from pgq.tick t
    where t.tick_queue = i_queue_id and t.tick_id > i_prev_tick_id
    order by t.tick_id desc limit 1;
    -- An interval from or to a tick at `infinity` cannot be computed (DESIGN.md, D20).
    if not exists (
        select from pgq.tick t
        where t.tick_queue = i_queue_id and t.tick_id > i_prev_tick_id and not pg_catalog.isfinite(t.tick_time))
        and pg_catalog.isfinite(i_prev_tick_time)
    then
        span := newest.tick_time - i_prev_tick_time;
    else
        select t.* into newest from pgq.tick t
        where t.tick_queue = i_queue_id and t.tick_id > i_prev_tick_id
        order by t.tick_id limit 1;
        next_tick_id := newest.tick_id;
        next_tick_time := newest.tick_time;
        next_tick_seq := newest.tick_event_seq;
        return;
    end if;
    events := newest.tick_event_seq - i_prev_tick_seq;
    if (events >= i_min_count or span >= i_min_interval) is not true then
        return;
    end if;
    if events > i_min_count * 2 or span > i_min_interval * 2 then
        select t.* into newest from pgq.tick t
        where t.tick_queue = i_queue_id and t.tick_id > i_prev_tick_id
          and (t.tick_event_seq - i_prev_tick_seq >= i_min_count
               or t.tick_time - i_prev_tick_time >= i_min_interval)
        order by t.tick_id limit 1;
    end if;
    next_tick_id := newest.tick_id;
    next_tick_time := newest.tick_time;
    next_tick_seq := newest.tick_event_seq;
end
$$;
