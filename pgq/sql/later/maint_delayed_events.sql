-- Inserts due delayed events into their queues, at most a hundred for each queue. Returns the number of events; call it
-- until that is 0. The events of a queue that takes no events stay, and so do those of a queue whose insert fails, with a
-- warning; they do not delay the events of other queues.
create or replace function pgq.maint_delayed_events()
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    que record;
    delivered integer;
    total integer := 0;
    reason text;
begin
    for que in
        select s.queue_id, s.queue_name from pgq._delayed_state(null) s
        where s.is_open and s.due <= clock_timestamp() order by s.queue_id
    loop
        begin
            delivered := pgq._deliver_delayed(que.queue_id);
        exception when others then
            get stacked diagnostics reason = message_text;
            raise warning 'the delayed events of queue `%` are not delivered: %', que.queue_name, reason;
            delivered := 0;
        end;
        -- Outside of the block, since a mark of a subtransaction does not count.
        if delivered > 0 then
            perform pgq._mark_delayed(que.queue_id, true);
            total := total + delivered;
        end if;
    end loop;
    return total;
end
$$;
