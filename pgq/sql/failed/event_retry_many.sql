-- Puts events of an open batch aside, as many pgq.event_retry would: each comes back to this consumer after its
-- time in x_retry_seconds.
--
-- Returns how many there are that were not put aside already.
--
-- Of an event that is named several times the last one counts.
--
-- An event of which another one with its id is put aside goes beside that; where the extension's key leaves no room for
-- it, that is an error.
--
-- Errors: no such batch is open; the batch does not hold one of the events, or it holds several with one id, of which
-- only one could be kept.
create or replace function pgq.event_retry_many(
    x_batch_id bigint, x_event_ids bigint[], x_retry_seconds integer[])
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

    -- Materialized, so that the batch is read once and all counts are of the same rows. An event beside its own retry
    -- is the same one.
    execute format(
        'with tagged as materialized ('
        '    select distinct on (id) id, seconds from unnest($1, $2) with ordinality tag (id, seconds, place) '
        '    order by id, place desc), '
        'events as materialized ('
        '    select batch.*, seconds from (%s) batch join tagged on id = ev_id), '
        'other as materialized ('
        '    select * from (select distinct on (ev_id) * from events order by ev_id, ev_retry desc nulls last) e '
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
        '    select $3, $4, ev_id, now() + make_interval(secs => seconds), coalesce(ev_retry, 0) + 1, ev_time, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '    from other '
        '    on conflict do nothing returning ev_id), '
        'different as ('
        '    select distinct ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '    from events where ev_id in (select ev_id from events group by ev_id having count(*) > 1)) '
        'select (select count(*) from put), '
        '       (select count(*) from tagged) - (select count(distinct ev_id) from events), '
        '       (select ev_id from different group by ev_id having count(*) > 1 order by ev_id limit 1), '
        '       (select min(ev_id) from (select ev_id from other except select ev_id from put) refused)',
        pgq.batch_event_sql(x_batch_id))
    into put_aside, absent, repeated, refused
    using x_event_ids, x_retry_seconds, batch.sub_queue, batch.sub_id;
    if absent > 0 then
        raise exception 'batch % does not hold % of the events', x_batch_id, absent using errcode = 'no_data_found';
    end if;
    if repeated is not null then
        raise exception 'batch % holds several events with the id %', x_batch_id, repeated
            using errcode = 'cardinality_violation';
    end if;
    if refused is not null then
        raise exception 'event % cannot be put aside: another event with this id waits for its retry', refused
            using errcode = 'unique_violation', hint = 'It can when that one has come back.';
    end if;
    return put_aside;
end
$$;
