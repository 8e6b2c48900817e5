-- Deletes a failed event; of several with one id, the one that failed first. Returns 1.
--
-- Errors: the consumer is not registered on the queue, or has no failed event with this id.
create or replace function pgq.failed_event_delete(x_queue_name text, x_consumer_name text, x_event_id bigint)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off
as $$
declare
    owner constant integer := pgq._failed_event_owner(x_queue_name, x_consumer_name);
begin
    -- The index by number would visit all events that failed before.
    delete from pgq.failed_queue where ev_failed_no = (
        select min(ev_failed_no) from (
            select ev_failed_no from pgq.failed_queue where ev_owner = owner and ev_id = x_event_id offset 0) named);
    if not found then
        raise exception 'consumer `%` on queue `%` has no failed event %',
            x_consumer_name, x_queue_name, x_event_id using errcode = 'no_data_found';
    end if;
    return 1;
end
$$;
