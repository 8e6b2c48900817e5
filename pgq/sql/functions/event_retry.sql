-- Puts an event of an open batch aside: it comes back to this consumer after the given time. Returns 1, or 0
-- when it was put aside already. Fails when there is no such batch, or no such event in it.
create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_time timestamptz)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    batch record;
    event record;
begin
    select s.sub_queue, s.sub_id, pgq.batch_event_sql(s.sub_batch) as events into batch
    from pgq.subscription s where s.sub_batch = x_batch_id;
    if found then
        for event in
            execute format('select * from (%s) batch where ev_id = $1 limit 1', batch.events) using x_event_id
        loop
            if exists (select from pgq.retry_queue r
                              where r.ev_owner = batch.sub_id and r.ev_id = event.ev_id
                                and (r.ev_time, r.ev_type, r.ev_data, r.ev_extra1, r.ev_extra2, r.ev_extra3, r.ev_extra4)
                                    is not distinct from
                                    (event.ev_time, event.ev_type, event.ev_data, event.ev_extra1, event.ev_extra2, event.ev_extra3, event.ev_extra4))
            then
                return 0;
            end if;
            insert into pgq.retry_queue (
                ev_queue, ev_owner, ev_id, ev_retry_after, ev_retry, ev_time, ev_type, ev_data,
                ev_extra1, ev_extra2, ev_extra3, ev_extra4)
            values (batch.sub_queue, batch.sub_id, event.ev_id, x_retry_time, coalesce(event.ev_retry, 0) + 1,
                    event.ev_time, event.ev_type, event.ev_data,
                    event.ev_extra1, event.ev_extra2, event.ev_extra3, event.ev_extra4);
            return 1;
        end loop;
    end if;
    raise exception 'event not found';
end
$$;

-- As above, after so many seconds.
create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    return pgq.event_retry(x_batch_id, x_event_id, now() + make_interval(secs => x_retry_seconds));
end
$$;
