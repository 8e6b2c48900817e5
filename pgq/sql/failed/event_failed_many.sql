-- Copies events of an open batch to the failed events of the batch's consumer, each with its reason in x_reasons.
--
-- Returns how many there are that were not there already.
--
-- Of an event that is named several times the last one counts.
--
-- Where the batch holds several events of one id, x_marks says which of them is meant, as in pgq.event_retry_many.
-- Without marks that is an error.
--
-- Errors: no such batch is open; the batch does not hold one of the events; see above.
create or replace function pgq.event_failed_many(
    x_batch_id bigint, x_event_ids bigint[], x_reasons text[], x_marks bytea[])
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    owner integer;
    copied integer;
    absent integer;
    repeated bigint;
begin
    -- Locked, so that nobody removes the consumer before the events are committed.
    select sub_id into owner from pgq.subscription where sub_batch = x_batch_id for no key update;
    if not found then
        raise exception 'batch % is not open', x_batch_id using errcode = 'undefined_object';
    end if;

    -- Materialized, so that the batch is read once and all counts are of the same rows. An event beside its own retry
    -- is the same one.
    execute format(
        'with tagged as materialized ('
        '    select distinct on (id, mark) id, mark, reason '
        '    from unnest($1, $2, $4) with ordinality tag (id, reason, mark, place) '
        '    order by id, mark, place desc), '
        'named as materialized ('
        '    select batch.*, mark, reason from (%s) batch join tagged on id = ev_id), '
        'several as materialized ('
        '    select ev_id as several_id from ('
        '        select distinct ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '        from named where ev_id in (select ev_id from named group by ev_id having count(*) > 1)) different '
        '    group by ev_id having count(*) > 1), '
        'events as materialized ('
        '    select * from named '
        '    where ev_id not in (select several_id from several) or mark = substring(sha256(record_send(row('
        '        ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4))) from 1 for 8)), '
        'put as ('
        '    insert into pgq.failed_queue (ev_failed_reason, ev_owner, ev_id, ev_time, ev_txid, ev_retry, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
        '    select reason, $3, ev_id, ev_time, ev_txid, ev_retry, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '    from (select distinct on (ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) * '
        '          from events '
        '          order by ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, '
        '              ev_retry desc nulls last) e '
        '    where not exists ( '
        '        select from pgq.failed_queue f '
        '        where f.ev_owner = $3 and f.ev_id = e.ev_id '
        '        and (f.ev_time, f.ev_type, f.ev_data, f.ev_extra1, f.ev_extra2, f.ev_extra3, f.ev_extra4) '
        '            is not distinct from '
        '            (e.ev_time, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4) '
        '        and (f.ev_txid is not distinct from e.ev_txid '
        '                 or coalesce(f.ev_retry, 0) <> coalesce(e.ev_retry, 0))) '
        '    returning 1) '
        'select (select count(*) from put), '
        '       (select count(*) from tagged) - (select count(*) from (select distinct ev_id, mark from events) found), '
        '       (select min(several_id) from several where $4 is null)',
        pgq.batch_event_sql(x_batch_id))
    into copied, absent, repeated
    using x_event_ids, x_reasons, owner, x_marks;
    if repeated is not null then
        raise exception 'batch % holds several events with the id %', x_batch_id, repeated
            using errcode = 'cardinality_violation';
    end if;
    if absent > 0 then
        raise exception 'batch % does not hold % of the events', x_batch_id, absent using errcode = 'no_data_found';
    end if;
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
