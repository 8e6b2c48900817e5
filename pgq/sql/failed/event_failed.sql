-- Copies an event of an open batch to the failed events of the batch's consumer.
--
-- Returns 1, or 0 when the event is there already. Of several events in the batch with this id, all are copied.
--
-- Errors: the batch is not open; the batch does not contain the event.
create or replace function pgq.event_failed(x_batch_id bigint, x_event_id bigint, x_reason text)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    batch constant pgq.subscription := pgq._open_batch(x_batch_id);
    copied bigint;
begin
    if batch.sub_id is null then
        raise exception 'event %: batch % is not open', x_event_id, x_batch_id
            using errcode = 'undefined_object';
    end if;

    -- The event and a failed event with its id are the same event if they are the same row, or one is a retry of the other.
    execute format(
        'with events as materialized ('
        '    select distinct on (ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) * '
        '    from (%s) batch where ev_id = $3 '
        '    order by ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_retry desc nulls last) '
        'insert into pgq.failed_queue (ev_failed_reason, ev_owner, ev_id, ev_time, ev_txid, ev_retry, '
        '    ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
        'select $1, $2, ev_id, ev_time, ev_txid, ev_retry, '
        '    ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        'from events e where not exists ( '
        '    select from ('
        '        select * from pgq.failed_queue where ev_owner = $2 and ev_id = e.ev_id offset 0) f '
        '    where (f.ev_time, f.ev_type, f.ev_data, f.ev_extra1, f.ev_extra2, f.ev_extra3, f.ev_extra4) '
        '            is not distinct from '
        '            (e.ev_time, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4) '
        '        and (f.ev_txid is not distinct from e.ev_txid '
        '             or coalesce(f.ev_retry, 0) <> coalesce(e.ev_retry, 0)))',
        pgq.batch_event_sql(x_batch_id))
    using x_reason, batch.sub_id, x_event_id;
    get diagnostics copied = row_count;
    if copied = 0 and not exists (
        select from pgq.failed_queue where ev_owner = batch.sub_id and ev_id = x_event_id)
    then
        raise exception 'batch % of consumer `%` on queue `%` has no event %',
            x_batch_id, (select co_name from pgq.consumer where co_id = batch.sub_consumer),
            (select queue_name from pgq.queue where queue_id = batch.sub_queue), x_event_id
            using errcode = 'no_data_found';
    end if;
    return copied;
end
$$;
