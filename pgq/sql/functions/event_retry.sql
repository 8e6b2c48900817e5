-- Tags an event of an open batch for retry: it is redelivered to this consumer after the given time. Returns 1, or 0
-- when the event was tagged already. Tags all events of the batch with this id. Fails when the batch is not open or
-- does not contain the event.
create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_time timestamptz)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set jit = off
as $$
declare
    batch record;
    tagged bigint;
    present bigint := 0;
begin
    select s.sub_queue, s.sub_id, pgq.batch_event_sql(s.sub_batch) as events into batch
    from pgq.subscription s where s.sub_batch = x_batch_id;
    if found then
        execute format(
            'with named as materialized ('
            '    select distinct on (ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) * '
            '    from (%s) batch where ev_id = $1 '
            '    order by ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, '
            '        ev_retry desc nulls last), '
            'put as ('
            '    insert into pgq.retry_queue ('
            '        ev_queue, ev_owner, ev_id, ev_retry_after, ev_retry, ev_time, ev_type, ev_data, '
            '        ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
            '    select $2, $3, ev_id, $4 + (row_number() over () - 1) * make_interval(secs => 0.000001), '
            '        coalesce(ev_retry, 0) + 1, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
            '    from named e where not exists ( '
            '        select from ('
            '            select * from pgq.retry_queue where ev_owner = $3 and ev_id = e.ev_id offset 0) r '
            '        where (r.ev_time, r.ev_type, r.ev_data, r.ev_extra1, r.ev_extra2, r.ev_extra3, r.ev_extra4) '
            '            is not distinct from '
            '            (e.ev_time, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4)) '
            '    returning 1) '
            'select (select count(*) from put), (select count(*) from named)',
            batch.events)
        into tagged, present using x_event_id, batch.sub_queue, batch.sub_id, x_retry_time;
    end if;
    if present = 0 then
        raise exception 'event not found';
    end if;
    return least(tagged, 1);
end
$$;

-- As above, with the delay in seconds.
create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    return pgq.event_retry(x_batch_id, x_event_id, now() + make_interval(secs => x_retry_seconds));
end
$$;
