-- Inserts the event of a schedule that is due into its queue, and sets the schedule's next time. Returns whether it inserted
-- the event. A schedule without a time gets one, and no event. Internal.
--
-- Does nothing if `i_no` is not the number of the schedule's newest time, since another session was first; if the schedule
-- is not due, or `i_next` is over, by the server's clock; if the queue takes no events; and while another session inserts
-- the event, changes the schedule, or rotates or drops the queue.
create or replace function pgq._insert_scheduled(i_event bigint, i_no bigint, i_next timestamptz)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    event pgq.scheduled_event;
    newest record;
    queue text;
begin
    -- The queue is locked first, as by pgq.drop_queue, which would otherwise wait for the schedule, and this for the queue.
    select q.queue_name into queue from pgq.queue q
    where q.queue_id = (select e.ev_queue from pgq.scheduled_event e where e.ev_id = i_event)
      and not q.queue_disable_insert and coalesce(q.queue_per_tx_limit, 1) <> 0
    for key share of q skip locked;
    if not found then
        return false;
    end if;
    select * into event from pgq.scheduled_event e where e.ev_id = i_event for update skip locked;
    if not found then
        return false;
    end if;
    -- Only the session with the lock adds times, so the statement sees the newest one.
    select max(t.next_no) as no, max(t.next_time) as time into newest from (
        select * from pgq.scheduled_time t where t.next_event = i_event order by t.next_no desc limit 1) t;
    if newest.no is distinct from i_no or newest.time > clock_timestamp() or i_next <= clock_timestamp() then
        return false;
    end if;
    if newest.time is not null then
        perform pgq.insert_event_raw(
            queue, null, null, null, null, event.ev_type, event.ev_data,
            event.ev_extra1, event.ev_extra2, event.ev_extra3, event.ev_extra4);
    end if;
    perform pgq._set_scheduled_time(i_event, i_no, i_next);
    return newest.time is not null;
end
$$;

-- Sets the next time of a schedule whose newest time has a number, or is missing. Internal.
create or replace function pgq._set_scheduled_time(i_event bigint, i_no bigint, i_next timestamptz)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    if i_no is null then
        insert into pgq.scheduled_time (next_event, next_no, next_time) values (i_event, 0, i_next);
    else
        update pgq.scheduled_time set next_no = i_no + 1, next_time = i_next
        where next_event = i_event and next_no = i_no;
    end if;
end
$$;
