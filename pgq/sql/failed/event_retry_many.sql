-- Puts events of an open batch aside, as many pgq.event_retry would: each comes back to this consumer after its
-- time in x_retry_seconds.
--
-- Returns how many there are that were not put aside already.
--
-- Errors: no such batch is open; the batch does not hold one of the events.
create or replace function pgq.event_retry_many(
    x_batch_id bigint, x_event_ids bigint[], x_retry_seconds integer[])
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    batch pgq.subscription;
    put_aside integer;
    absent integer;
begin
    select * into batch from pgq.subscription where sub_batch = x_batch_id for no key update;
    if not found then
        raise exception 'batch % is not open', x_batch_id using errcode = 'undefined_object';
    end if;

    -- Materialized, so that the batch is read once and both counts are of the same rows.
    execute format(
        'with tagged as materialized ('
        '    select id, max(seconds) as seconds from unnest($1, $2) tag (id, seconds) group by id), '
        'events as materialized ('
        '    select batch.*, seconds from (%s) batch join tagged on id = ev_id), '
        'put as ('
        '    insert into pgq.retry_queue (ev_queue, ev_owner, ev_id, ev_retry_after, ev_retry, ev_time, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
        '    select $3, $4, ev_id, now() + make_interval(secs => seconds), coalesce(ev_retry, 0) + 1, ev_time, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '    from events order by ev_id '
        '    on conflict do nothing returning 1) '
        'select (select count(*) from put), '
        '       (select count(*) from tagged) - (select count(distinct ev_id) from events)',
        pgq.batch_event_sql(x_batch_id))
    into put_aside, absent
    using x_event_ids, x_retry_seconds, batch.sub_queue, batch.sub_id;
    if absent > 0 then
        raise exception 'batch % does not hold % of the events', x_batch_id, absent using errcode = 'no_data_found';
    end if;
    return put_aside;
end
$$;
