-- Puts all events of an open batch aside: they come back to this consumer after so many seconds. Returns how
-- many there are that were not put aside already. Fails when there is no such batch.
create or replace function pgq.batch_retry(i_batch_id bigint, i_retry_seconds integer)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    put_aside integer;
begin
    insert into pgq.retry_queue (
        ev_queue, ev_owner, ev_id, ev_retry_after, ev_retry, ev_time, ev_type, ev_data,
        ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    select s.sub_queue, s.sub_id, e.ev_id, now() + make_interval(secs => i_retry_seconds)
               + (row_number() over (partition by e.ev_id) - 1) * interval '1 microsecond',
           coalesce(e.ev_retry, 0) + 1, e.ev_time, e.ev_type, e.ev_data,
           e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4
    from pgq.subscription s
    cross join lateral pgq.get_batch_events(s.sub_batch) e
    where s.sub_batch = i_batch_id
      and not exists (select from pgq.retry_queue r
                              where r.ev_owner = s.sub_id and r.ev_id = e.ev_id
                                and (r.ev_time, r.ev_type, r.ev_data, r.ev_extra1, r.ev_extra2, r.ev_extra3, r.ev_extra4)
                                    is not distinct from
                                    (e.ev_time, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4));
    get diagnostics put_aside = row_count;
    if put_aside = 0 and not exists (select from pgq.subscription s where s.sub_batch = i_batch_id) then
        raise exception 'batch_retry: batch % not found', i_batch_id;
    end if;
    return put_aside;
end
$$;
