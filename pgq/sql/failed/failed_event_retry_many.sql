-- Moves failed events back into their queue in the order of their ids, for this consumer only, with ev_retry one
-- higher; of several with one id, the one that failed first. Returns how many it moved.
--
-- Errors: the consumer is not registered on the queue; the queue takes no events.
create or replace function pgq.failed_event_retry_many(
    x_queue_name text, x_consumer_name text, x_event_ids bigint[])
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    owner constant integer := pgq._failed_event_owner(x_queue_name, x_consumer_name);
    moved integer;
begin
    with gone as (
        delete from pgq.failed_queue where ev_failed_no in (
            select min(ev_failed_no) from pgq.failed_queue
            where ev_owner = owner and ev_id = any (x_event_ids) group by ev_id)
        returning *
    )
    select count(pgq.insert_event_raw(
        x_queue_name, ev_id, ev_time, ev_owner, coalesce(ev_retry, 0) + 1,
        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4))
    into moved
    from (select * from gone order by ev_id) sorted;
    return moved;
end
$$;
