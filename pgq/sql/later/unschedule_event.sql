-- Removes a schedule. Returns whether there was one. While another transaction inserts the event, waits for its end.
--
-- A role may remove the schedules that its sessions have made, whichever role was set in them. A role that may call
-- pgq.maint_delayed_events may remove all.
--
-- Errors: the queue does not exist; the schedule belongs to another role.
create or replace function pgq.unschedule_event(x_queue_name text, x_schedule_name text)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    que constant pgq.queue := pgq._later_queue(x_queue_name);
    event pgq.scheduled_event;
begin
    select * into event from pgq.scheduled_event e
    where e.ev_queue = que.queue_id and e.ev_name = x_schedule_name for update;
    if not found then
        return false;
    end if;
    perform pgq._scheduled_event_owner(event, x_queue_name);
    delete from pgq.scheduled_time t
    where t.next_event = event.ev_id and t.next_no = (
        select n.next_no from pgq.scheduled_time n where n.next_event = event.ev_id order by n.next_no desc limit 1);
    delete from pgq.scheduled_event where ev_id = event.ev_id;
    return true;
end
$$;
