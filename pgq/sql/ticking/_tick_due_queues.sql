-- Ticks the queues that are due, and those of `i_retried`, which have got retry events. Notifies the consumers. Internal.
--
-- Does not tick the queues of `i_skipped`. A queue that cannot be ticked does not stop the others. Returns a row for each
-- such queue, with the reason.
--
-- Ticks of the extension have no order of their own, so tickers take turns here. Each tick has a snapshot that is newer
-- than the lock, provided that the isolation level is `read committed`.
create or replace function pgq._tick_due_queues(i_retried integer[], i_skipped integer[])
returns table (failed_queue integer, failure text)
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' set row_security = off
as $$
declare
    due record;
    made bigint;
begin
    perform pg_advisory_xact_lock(hashtext('pgq ticker'), -1);
    for due in select * from pgq._due_ticks(i_retried, i_skipped) loop
        failed_queue := due.queue_id;
        failure := due.obstacle;
        if due.obstacle is not null then
            return next;
            continue;
        end if;
        begin
            made := pgq.ticker(due.queue_name);
            for n in 1 .. due.steps loop
                exit when made is not null;
                perform pgq.force_tick(due.queue_name);
                made := pgq.ticker(due.queue_name);
            end loop;
            if made is not null then
                perform pg_notify(due.channel, made::text);
            end if;
        exception when others then
            failure := format('cannot tick queue `%s`: %s', due.queue_name, sqlerrm);
            return next;
        end;
    end loop;
end
$$;
