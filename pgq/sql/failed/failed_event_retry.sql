-- Moves a failed event back into its queue, for this consumer only, with ev_retry one higher; of several with one id,
-- the one that failed first, since a batch identifies its events by id only, as this function does.
--
-- Returns the event's id, which stays the same.
--
-- Errors: the consumer is not registered on the queue, or has no failed event with this id; the queue takes no
-- events.
create or replace function pgq.failed_event_retry(x_queue_name text, x_consumer_name text, x_event_id bigint)
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off
as $$
declare
    owner constant integer := pgq._failed_event_owner(x_queue_name, x_consumer_name);
    event pgq.failed_queue;
begin
    -- The index by number would visit all events that failed before.
    delete from pgq.failed_queue where ev_failed_no = (
        select min(ev_failed_no) from (
            select ev_failed_no from pgq.failed_queue where ev_owner = owner and ev_id = x_event_id offset 0) named)
    returning * into event;
    if not found then
        raise exception 'consumer `%` on queue `%` has no failed event %',
            x_consumer_name, x_queue_name, x_event_id using errcode = 'no_data_found';
    end if;
    return pgq.insert_event_raw(
        x_queue_name, event.ev_id, event.ev_time, event.ev_owner, coalesce(event.ev_retry, 0) + 1,
        event.ev_type, event.ev_data, event.ev_extra1, event.ev_extra2, event.ev_extra3, event.ev_extra4);
end
$$;
