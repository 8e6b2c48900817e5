-- Returns all schedules: whether the queue takes events, and the number and the time of the newest row of
-- pgq.scheduled_time, both null if there is none. Internal.
create or replace function pgq._scheduled_state(
    out event_id bigint, out queue_id integer, out queue_name text, out name text, out cron text, out zone text,
    out is_open boolean, out next_no bigint, out next_time timestamptz)
returns setof record
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
#variable_conflict use_column
begin
    -- Older versions of a schedule's time, which an old snapshot keeps, are not visited.
    return query
        select e.ev_id, q.queue_id, q.queue_name, e.ev_name collate "default", e.ev_cron, e.ev_zone,
            not q.queue_disable_insert and coalesce(q.queue_per_tx_limit, 1) <> 0, newest.next_no, newest.next_time
        from pgq.scheduled_event e
        join pgq.queue q on q.queue_id = e.ev_queue
        left join lateral (
            select t.next_no, t.next_time from pgq.scheduled_time t
            where t.next_event = e.ev_id
            order by t.next_no desc limit 1) newest on true;
end
$$;

-- Returns the earliest next time of a schedule whose queue takes events: -infinity if a ticker must compute one, null
-- without schedules. Internal.
create or replace function pgq._earliest_scheduled()
returns timestamptz
language sql set search_path = pg_catalog, pg_temp
as $$
    select min(coalesce(s.next_time, '-infinity')) from pgq._scheduled_state() s where s.is_open
$$;
