-- Copies events of an open batch to the failed events of the batch's consumer, each with its reason in x_reasons.
--
-- Returns how many there are that were not there already.
--
-- Errors: no such batch is open; the batch does not hold one of the events.
create or replace function pgq.event_failed_many(x_batch_id bigint, x_event_ids bigint[], x_reasons text[])
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    owner integer;
    copied integer;
    absent integer;
begin
    -- Locked, so that nobody removes the consumer before the events are committed.
    select sub_id into owner from pgq.subscription where sub_batch = x_batch_id for no key update;
    if not found then
        raise exception 'batch % is not open', x_batch_id using errcode = 'undefined_object';
    end if;

    -- Materialized, so that the batch is read once and both counts are of the same rows.
    execute format(
        'with tagged as materialized ('
        '    select distinct on (id) id, reason from unnest($1, $2) with ordinality tag (id, reason, place) '
        '    order by id, place desc), '
        'events as materialized ('
        '    select batch.*, reason from (%s) batch join tagged on id = ev_id), '
        'put as ('
        '    insert into pgq.failed_queue (ev_failed_reason, ev_owner, ev_id, ev_time, ev_txid, ev_retry, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
        '    select reason, $3, ev_id, ev_time, ev_txid, ev_retry, '
        '        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '    from events order by ev_id '
        '    on conflict do nothing returning 1) '
        'select (select count(*) from put), '
        '       (select count(*) from tagged) - (select count(distinct ev_id) from events)',
        pgq.batch_event_sql(x_batch_id))
    into copied, absent
    using x_event_ids, x_reasons, owner;
    if absent > 0 then
        raise exception 'batch % does not hold % of the events', x_batch_id, absent using errcode = 'no_data_found';
    end if;
    return copied;
end
$$;
