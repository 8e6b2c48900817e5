-- Copies an event of an open batch to the failed events of the batch's consumer.
--
-- Returns 1, or 0 when the event is there already.
--
-- Errors: no such batch is open; the batch does not hold the event.
create or replace function pgq.event_failed(x_batch_id bigint, x_event_id bigint, x_reason text)
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    batch record;
    copied bigint;
begin
    -- Locked, so that nobody removes the consumer before the event is committed.
    select sub_id, queue_name, co_name into batch
    from pgq.subscription
    join pgq.queue on queue_id = sub_queue
    join pgq.consumer on co_id = sub_consumer
    where sub_batch = x_batch_id
    for no key update of subscription;
    if not found then
        raise exception 'event %: batch % is not open', x_event_id, x_batch_id
            using errcode = 'undefined_object';
    end if;
    if exists (select from pgq.failed_queue where ev_owner = batch.sub_id and ev_id = x_event_id) then
        return 0;
    end if;

    execute format(
        'insert into pgq.failed_queue (ev_failed_reason, ev_owner, ev_id, ev_time, ev_txid, ev_retry, '
        'ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) '
        'select $1, $2, ev_id, ev_time, ev_txid, ev_retry, '
        'ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        'from (%s) batch where ev_id = $3 '
        'on conflict do nothing',
        pgq.batch_event_sql(x_batch_id))
    using x_reason, batch.sub_id, x_event_id;
    get diagnostics copied = row_count;
    if copied = 0 and not exists (
        select from pgq.failed_queue where ev_owner = batch.sub_id and ev_id = x_event_id)
    then
        raise exception 'batch % of consumer `%` on queue `%` has no event %',
            x_batch_id, batch.co_name, batch.queue_name, x_event_id using errcode = 'no_data_found';
    end if;
    return copied;
end
$$;
