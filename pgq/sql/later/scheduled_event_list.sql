-- Returns the schedules of a queue, or with null of all queues, in the order of the names of queues and schedules. `due` is
-- the next time, or null if a ticker has not computed it yet.
--
-- Errors: the queue does not exist.
create or replace function pgq.scheduled_event_list(
    x_queue_name text, out queue_name text, out schedule_name text, out cron text, out zone text, out due timestamptz,
    out ev_time timestamptz, out ev_role text, out ev_type text, out ev_data text,
    out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record
language plpgsql stable security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off
as $$
#variable_conflict use_column
begin
    if x_queue_name is not null then
        perform pgq._later_queue(x_queue_name);
    end if;
    return query
        select q.queue_name, e.ev_name collate "default", e.ev_cron, e.ev_zone, newest.next_time, e.ev_time, e.ev_role,
            e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4
        from pgq.scheduled_event e
        join pgq.queue q on q.queue_id = e.ev_queue
        left join lateral (
            select t.next_time from pgq.scheduled_time t
            where t.next_event = e.ev_id
            order by t.next_no desc limit 1) newest on true
        where q.queue_name = x_queue_name or x_queue_name is null
        order by q.queue_name, e.ev_name;
end
$$;
