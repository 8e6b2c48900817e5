-- Tags all events of an open batch for retry: they are redelivered to this consumer after i_retry_seconds. Returns the
-- number of events that were not tagged already. Fails when the batch is not open.
create or replace function pgq.batch_retry(i_batch_id bigint, i_retry_seconds integer)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set jit = off
as $$
declare
    tagged integer;
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
      and not exists (select from (
                                  select * from pgq.retry_queue
                                  where ev_owner = s.sub_id and ev_id = e.ev_id offset 0) r
                              where (r.ev_time, r.ev_type, r.ev_data, r.ev_extra1, r.ev_extra2, r.ev_extra3, r.ev_extra4)
                                    is not distinct from
                                    (e.ev_time, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4));
    get diagnostics tagged = row_count;
    if tagged = 0 and not exists (select from pgq.subscription s where s.sub_batch = i_batch_id) then
        raise exception 'batch_retry: batch % not found', i_batch_id;
    end if;
    return tagged;
end
$$;
