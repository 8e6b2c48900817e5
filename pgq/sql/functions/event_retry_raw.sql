-- Puts an event with the given columns aside for a consumer; without an id it gets the queue's next one.
-- Returns the id. Fails when the consumer is not registered.
create or replace function pgq.event_retry_raw(
    x_queue text, x_consumer text, x_retry_after timestamptz, x_ev_id bigint, x_ev_time timestamptz,
    x_ev_retry integer, x_ev_type text, x_ev_data text, x_ev_extra1 text, x_ev_extra2 text, x_ev_extra3 text,
    x_ev_extra4 text)
returns bigint
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    sub record;
    id bigint := x_ev_id;
begin
    select sub_queue, sub_id, queue_event_seq into sub
    from pgq.subscription
    join pgq.queue on queue_id = sub_queue
    join pgq.consumer on co_id = sub_consumer
    where queue_name = x_queue and co_name = x_consumer;
    if not found then
        raise exception 'consumer not registered';
    end if;
    if id is null then
        id := nextval(sub.queue_event_seq::regclass);
    end if;
    insert into pgq.retry_queue (
        ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data,
        ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    values (x_retry_after, sub.sub_queue, id, x_ev_time, sub.sub_id, x_ev_retry, x_ev_type, x_ev_data,
            x_ev_extra1, x_ev_extra2, x_ev_extra3, x_ev_extra4);
    return id;
end
$$;
