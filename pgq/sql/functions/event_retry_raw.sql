-- Inserts an event with the given columns into a consumer's retry events. Without an id the event gets the queue's next
-- one. Returns the id. Fails when the consumer is not registered.
create or replace function pgq.event_retry_raw(
    x_queue text, x_consumer text, x_retry_after timestamptz, x_ev_id bigint, x_ev_time timestamptz,
    x_ev_retry integer, x_ev_type text, x_ev_data text, x_ev_extra1 text, x_ev_extra2 text, x_ev_extra3 text,
    x_ev_extra4 text)
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    id bigint;
begin
    insert into pgq.retry_queue (
        ev_queue, ev_owner, ev_id, ev_retry_after, ev_retry, ev_time, ev_type, ev_data,
        ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    select q.queue_id, s.sub_id, coalesce(x_ev_id, nextval(q.queue_event_seq::regclass)),
           x_retry_after, x_ev_retry, x_ev_time, x_ev_type, x_ev_data,
           x_ev_extra1, x_ev_extra2, x_ev_extra3, x_ev_extra4
    from pgq.queue q
    join pgq.consumer c on c.co_name = x_consumer
    join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
    where q.queue_name = x_queue
    returning ev_id into id;
    if id is null then
        raise exception 'consumer not registered';
    end if;
    return id;
end
$$;
