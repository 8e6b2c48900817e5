-- Copies events of an open batch to the failed events of the batch's consumer, each with its reason in x_reasons.
--
-- Returns the number of events that were not among the failed events before.
--
-- The last reason counts for an event that is named several times.
--
-- If several events of the batch have one id, x_marks selects one of them, as in pgq.event_retry_many. Without marks such
-- an id is an error.
--
-- Errors: the batch is not open; the batch does not contain one of the events; see above.
create or replace function pgq.event_failed_many(
    x_batch_id bigint, x_event_ids bigint[], x_reasons text[], x_marks bytea[])
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    owner constant integer := (pgq._open_batch(x_batch_id)).sub_id;
    copied integer;
    absent bigint;
    repeated bigint;
begin
    if owner is null then
        raise exception 'batch % is not open', x_batch_id using errcode = 'undefined_object';
    end if;

    execute pgq._tagged_events_sql(x_batch_id) ||
        ', put as ('
        '    insert into pgq.failed_queue (ev_failed_reason, ev_owner, ev_id, ev_time, ev_txid, ev_retry, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
        '    select value, $4, ev_id, ev_time, ev_txid, ev_retry, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '    from distinct_events e '
        '    where not exists ( '
        '        select from ('
        '            select * from pgq.failed_queue where ev_owner = $4 and ev_id = e.ev_id offset 0) f '
        '        where (f.ev_time, f.ev_type, f.ev_data, f.ev_extra1, f.ev_extra2, f.ev_extra3, f.ev_extra4) '
        '            is not distinct from '
        '            (e.ev_time, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4) '
        '        and (f.ev_txid is not distinct from e.ev_txid '
        '                 or coalesce(f.ev_retry, 0) <> coalesce(e.ev_retry, 0))) '
        '    returning 1) '
        'select (select count(*) from put), problem.absent, problem.repeated from problem'
    into copied, absent, repeated
    using x_event_ids, x_reasons, x_marks, owner;
    perform pgq._tagged_events_check(x_batch_id, absent, repeated);
    return copied;
end
$$;

-- As above, without marks.
create or replace function pgq.event_failed_many(x_batch_id bigint, x_event_ids bigint[], x_reasons text[])
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq.event_failed_many(x_batch_id, x_event_ids, x_reasons, null::bytea[]);
end
$$;
