-- Moves up to ten events whose retry is due back into their queues. Returns the number of events; call it until that
-- is 0.
create or replace function pgq.maint_retry_events()
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    due record;
    returned integer := 0;
begin
    for due in
        select retry.*, que.queue_name, que.queue_per_tx_limit
        from pgq._due_retries(null, 10) retry join pgq.queue que on queue_id = ev_queue
    loop
        -- This transaction may insert no more events into the queue (pgq._check_insert).
        continue when due.queue_per_tx_limit
            <= coalesce(nullif(current_setting(concat('pgq.inserted_', due.ev_queue), true), ''), '0')::integer;
        perform pgq.insert_event_raw(
            due.queue_name, due.ev_id, due.ev_time, due.ev_owner, due.ev_retry, due.ev_type, due.ev_data,
            due.ev_extra1, due.ev_extra2, due.ev_extra3, due.ev_extra4);
        delete from pgq.retry_queue
        where ev_owner = due.ev_owner and ev_id = due.ev_id and ev_retry_after = due.ev_retry_after;
        returned := returned + 1;
    end loop;
    perform pgq._mark_retries(returned > 0);
    return returned;
end
$$;
