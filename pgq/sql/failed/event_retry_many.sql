-- Puts events of an open batch aside, as many pgq.event_retry would: each comes back to this consumer after its
-- time in x_retry_seconds.
--
-- Returns how many there are that were not put aside already.
--
-- Of an event that is named several times the last one counts.
--
-- Where the batch holds several events of one id, x_marks says which of them is meant: the first eight bytes of the
-- SHA-256 of what record_send makes of its time, type, data and extras. Without marks that is an error.
--
-- An event of which another one with its id is put aside goes beside that. The extension's key leaves no room for it:
-- if the other one is of the same batch, it goes back into the queue at once, for this consumer alone; otherwise that
-- is an error.
--
-- Errors: no such batch is open; the batch does not hold one of the events; see above.
create or replace function pgq.event_retry_many(
    x_batch_id bigint, x_event_ids bigint[], x_retry_seconds integer[], x_marks bytea[])
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    batch pgq.subscription;
    put_aside integer;
    absent integer;
    repeated bigint;
    refused bigint;
begin
    select * into batch from pgq.subscription where sub_batch = x_batch_id for no key update;
    if not found then
        raise exception 'batch % is not open', x_batch_id using errcode = 'undefined_object';
    end if;

    -- The own table's key has the time, so those of one id have different ones, also if another call put the others aside.
    -- Materialized, so that the batch is read once and all counts are of the same rows. An event beside its own retry
    -- is the same one.
    execute format(
        'with tagged as materialized ('
        '    select distinct on (id, mark) id, mark, seconds '
        '    from unnest($1, $2, $5) with ordinality tag (id, seconds, mark, place) '
        '    order by id, mark, place desc), '
        'named as materialized ('
        '    select batch.*, mark, seconds from (%s) batch join tagged on id = ev_id), '
        'several as materialized ('
        '    select ev_id as several_id from ('
        '        select distinct ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '        from named where ev_id in (select ev_id from named group by ev_id having count(*) > 1)) different '
        '    group by ev_id having count(*) > 1), '
        'events as materialized ('
        '    select * from named '
        '    where ev_id not in (select several_id from several) or mark = substring(sha256(record_send(row('
        '        ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4))) from 1 for 8)), '
        'other as materialized ('
        '    select *, clock_timestamp() + make_interval(secs => seconds) '
        '        + (row_number() over (partition by ev_id) - 1) * make_interval(secs => 0.000001) as after '
        '    from (select distinct on (ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) * '
        '          from events '
        '          order by ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, '
        '              ev_retry desc nulls last) e '
        '    where not exists ( '
        '        select from pgq.retry_queue f '
        '        where f.ev_owner = $4 and f.ev_id = e.ev_id '
        '        and (f.ev_time, f.ev_type, f.ev_data, f.ev_extra1, f.ev_extra2, f.ev_extra3, f.ev_extra4) '
        '            is not distinct from '
        '            (e.ev_time, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4) '
        '    )), '
        'put as ('
        '    insert into pgq.retry_queue (ev_queue, ev_owner, ev_id, ev_retry_after, ev_retry, ev_time, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
        '    select $3, $4, ev_id, after, coalesce(ev_retry, 0) + 1, ev_time, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '    from other '
        '    on conflict do nothing returning ev_id, ev_retry_after), '
        'left_out as materialized ('
        '    select * from other where (ev_id, after) not in (select ev_id, ev_retry_after from put)), '
        'returned as materialized ('
        '    select pgq.insert_event_raw(queue_name, ev_id, ev_time, $4, coalesce(ev_retry, 0) + 1, ev_type, ev_data, '
        '        ev_extra1, ev_extra2, ev_extra3, ev_extra4) as returned_id '
        '    from left_out join pgq.queue on queue_id = $3 where ev_id in (select ev_id from put)) '
        'select (select count(*) from put) + (select count(returned_id) from returned), '
        '       (select count(*) from tagged) - (select count(*) from (select distinct ev_id, mark from events) found), '
        '       (select min(several_id) from several where $5 is null), '
        '       (select min(ev_id) from left_out where ev_id not in (select ev_id from put))',
        pgq.batch_event_sql(x_batch_id))
    into put_aside, absent, repeated, refused
    using x_event_ids, x_retry_seconds, batch.sub_queue, batch.sub_id, x_marks;
    if repeated is not null then
        raise exception 'batch % holds several events with the id %', x_batch_id, repeated
            using errcode = 'cardinality_violation';
    end if;
    if absent > 0 then
        raise exception 'batch % does not hold % of the events', x_batch_id, absent using errcode = 'no_data_found';
    end if;
    if refused is not null then
        raise exception 'event % cannot be put aside: another event with this id waits for its retry', refused
            using errcode = 'unique_violation', hint = 'It can when that one has come back.';
    end if;
    return put_aside;
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
