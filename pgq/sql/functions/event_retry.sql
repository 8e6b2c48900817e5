-- Puts an event of an open batch aside: it comes back to this consumer after the given time. Returns 1, or 0
-- when it was put aside already. Fails when there is no such batch, or no such event in it.
create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_time timestamptz)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    sub record;
    event record;
begin
    select sub_queue, sub_id into sub from pgq.subscription where sub_batch = x_batch_id;
    if not found then
        raise exception 'event not found';
    end if;
    execute format('select * from (%s) batch where ev_id = $1 limit 1', pgq.batch_event_sql(x_batch_id))
    into event using x_event_id;
    if event.ev_id is null then
        raise exception 'event not found';
    end if;
    insert into pgq.retry_queue (
        ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data,
        ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    values (x_retry_time, sub.sub_queue, event.ev_id, event.ev_time, sub.sub_id,
            coalesce(event.ev_retry, 0) + 1, event.ev_type, event.ev_data,
            event.ev_extra1, event.ev_extra2, event.ev_extra3, event.ev_extra4)
    on conflict (ev_owner, ev_id) do nothing;
    return found::integer;
end
$$;

-- As above, after so many seconds.
create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    return pgq.event_retry(x_batch_id, x_event_id, now() + make_interval(secs => x_retry_seconds));
end
$$;
