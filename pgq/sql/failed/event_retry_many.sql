-- Schedules events of an open batch for a retry, as many calls of pgq.event_retry would: each is delivered again to this
-- consumer after its time in x_retry_seconds.
--
-- Returns the number of events that were not scheduled before.
--
-- The last time counts for an event that is named several times.
--
-- If several events of the batch have one id, x_marks selects one of them by the first eight bytes of the SHA-256 of
-- record_send of its time, type, data and extras. Without marks such an id is an error.
--
-- Another event with the same id may be scheduled already. The table of the own schema can contain both, the table of the
-- extension cannot. There, if the other event is of the same batch, this event returns to the queue at once, for this
-- consumer alone; otherwise the second event is an error.
--
-- Errors: the batch is not open; the batch does not contain one of the events; see above.
create or replace function pgq.event_retry_many(
    x_batch_id bigint, x_event_ids bigint[], x_retry_seconds integer[], x_marks bytea[])
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    batch constant pgq.subscription := pgq._open_batch(x_batch_id);
    scheduled integer;
    absent bigint;
    repeated bigint;
    refused bigint;
begin
    if batch.sub_id is null then
        raise exception 'batch % is not open', x_batch_id using errcode = 'undefined_object';
    end if;

    -- The own table's key contains the time, so events of one id get different times, also in different calls.
    execute pgq._tagged_events_sql(x_batch_id) ||
        ', other as materialized ('
        '    select *, clock_timestamp() + make_interval(secs => value) '
        '        + (row_number() over (partition by ev_id) - 1) * make_interval(secs => 0.000001) as after '
        '    from distinct_events e '
        '    where not exists ( '
        '        select from ('
        '            select * from pgq.retry_queue where ev_owner = $4 and ev_id = e.ev_id offset 0) f '
        '        where (f.ev_time, f.ev_type, f.ev_data, f.ev_extra1, f.ev_extra2, f.ev_extra3, f.ev_extra4) '
        '            is not distinct from '
        '            (e.ev_time, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4) '
        '    )), '
        'put as ('
        '    insert into pgq.retry_queue (ev_queue, ev_owner, ev_id, ev_retry_after, ev_retry, ev_time, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
        '    select $5, $4, ev_id, after, coalesce(ev_retry, 0) + 1, ev_time, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '    from other '
        '    on conflict do nothing returning ev_id, ev_retry_after), '
        'left_out as materialized ('
        '    select * from other where (ev_id, after) not in (select ev_id, ev_retry_after from put)), '
        'returned as materialized ('
        '    select pgq.insert_event_raw(queue_name, ev_id, ev_time, $4, coalesce(ev_retry, 0) + 1, ev_type, ev_data, '
        '        ev_extra1, ev_extra2, ev_extra3, ev_extra4) as returned_id '
        '    from left_out join pgq.queue on queue_id = $5 where ev_id in (select ev_id from put)) '
        'select (select count(*) from put) + (select count(returned_id) from returned), '
        '       problem.absent, problem.repeated, '
        '       (select min(ev_id) from left_out where ev_id not in (select ev_id from put)) from problem'
    into scheduled, absent, repeated, refused
    using x_event_ids, x_retry_seconds, x_marks, batch.sub_id, batch.sub_queue;
    perform pgq._tagged_events_check(x_batch_id, absent, repeated);
    if refused is not null then
        raise exception 'event % cannot be scheduled for a retry: another event with this id already is', refused
            using errcode = 'unique_violation', hint = 'Retry it after the other event has been delivered again.';
    end if;
    return scheduled;
end
$$;

-- As above, without marks.
create or replace function pgq.event_retry_many(
    x_batch_id bigint, x_event_ids bigint[], x_retry_seconds integer[])
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq.event_retry_many(x_batch_id, x_event_ids, x_retry_seconds, null::bytea[]);
end
$$;
