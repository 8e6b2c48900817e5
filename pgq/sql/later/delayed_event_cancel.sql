-- Cancels a delayed event. Returns whether there was one: false if the event is delivered or cancelled already, or never
-- existed. While another transaction delivers or cancels the event, waits for its end.
--
-- A role may cancel the events that its sessions have inserted, whichever role was set in them. A role that may call
-- pgq.maint_delayed_events may cancel all.
--
-- Errors: the queue does not exist; the event is one of another role.
create or replace function pgq.delayed_event_cancel(x_queue_name text, x_event_id bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off
as $$
declare
    que constant pgq.queue := pgq._later_queue(x_queue_name);
    event record;
begin
    -- With the queue in the condition, the planner could read another index than that of the id.
    select ev_role, ev_queue into event from pgq.delayed_queue where ev_id = x_event_id;
    if event.ev_queue is distinct from que.queue_id then
        return false;
    end if;
    if event.ev_role <> session_user and not has_function_privilege(session_user, 'pgq.maint_delayed_events()', 'execute') then
        raise exception 'delayed event % of queue `%` was inserted by role `%`', x_event_id, x_queue_name, event.ev_role
            using errcode = 'insufficient_privilege';
    end if;
    delete from pgq.delayed_queue where ev_id = x_event_id;
    return found;
end
$$;
