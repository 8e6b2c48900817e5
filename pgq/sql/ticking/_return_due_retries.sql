-- Puts up to ten due retry events of each queue back into their queues, except those of `i_skipped`. Internal.
--
-- Returns a row for each such queue: the number of events, or why they cannot be put back. Call the function until it
-- returns no events.
create or replace function pgq._return_due_retries(i_skipped integer[])
returns table (retried_queue integer, returned integer, failure text)
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '2s' set row_security = off
as $$
declare
    -- The functions of the own schema do not visit delivered events that an old snapshot keeps (DESIGN.md, D126).
    is_marked constant boolean := to_regprocedure('pgq._mark_retries(boolean)') is not null;
    queues constant text := case
        when is_marked then 'select pgq._due_retry_queues()'
        else 'select distinct ev_queue from pgq.retry_queue where ev_retry_after <= now()' end;
    events constant text := case
        when is_marked then 'select * from pgq._due_retries($1, (select least(10, queue_per_tx_limit) from pgq.queue where queue_id = $1))'
        else 'select * from pgq.retry_queue where ev_queue = $1 and ev_retry_after <= now()'
             ' order by ev_retry_after'
             ' limit (select least(10, queue_per_tx_limit) from pgq.queue where queue_id = $1) for update' end;
    name text;
    due record;
    total integer := 0;
begin
    begin
        lock table pgq.retry_queue in share update exclusive mode;
    exception when lock_not_available then
        retried_queue := 0;
        returned := 0;
        failure := format('cannot put retry events back: %s', sqlerrm);
        return next;
        return;
    end;
    for retried_queue, name in execute format(
        'select queue_id, queue_name from pgq.queue where queue_id in (%s) and queue_id <> all ($1) order by 1', queues)
        using i_skipped
    loop
        returned := 0;
        failure := null;
        begin
            for due in execute events using retried_queue loop
                perform pgq.insert_event_raw(
                    name, due.ev_id, due.ev_time, due.ev_owner, due.ev_retry, due.ev_type, due.ev_data,
                    due.ev_extra1, due.ev_extra2, due.ev_extra3, due.ev_extra4);
                delete from pgq.retry_queue
                where ev_owner = due.ev_owner and ev_id = due.ev_id and ev_retry_after = due.ev_retry_after;
                returned := returned + 1;
            end loop;
        exception when others then
            returned := 0;
            failure := format('cannot put retry events back into queue `%s`: %s', name, sqlerrm);
        end;
        total := total + returned;
        return next;
    end loop;
    if is_marked then
        execute 'select pgq._mark_retries($1)' using total > 0;
    end if;
end
$$;
