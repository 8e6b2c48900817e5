-- Puts all events of an open batch aside: they come back to this consumer after so many seconds. Returns how
-- many there are that were not put aside already. Fails when there is no such batch.
create or replace function pgq.batch_retry(i_batch_id bigint, i_retry_seconds integer)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    sub record;
    put_aside integer;
begin
    select sub_queue, sub_id into sub from pgq.subscription where sub_batch = i_batch_id;
    if not found then
        raise exception 'batch_retry: batch % not found', i_batch_id;
    end if;
    insert into pgq.retry_queue (
        ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data,
        ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    select now() + make_interval(secs => i_retry_seconds), sub.sub_queue, ev_id, ev_time, sub.sub_id,
           coalesce(ev_retry, 0) + 1, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4
    from pgq.get_batch_events(i_batch_id)
    on conflict (ev_owner, ev_id) do nothing;
    get diagnostics put_aside = row_count;
    return put_aside;
end
$$;
