-- Advances a queue's event counter as if many events had been inserted, so that the next call of the ticker makes a
-- tick. Returns the id of the last tick, or null when the queue or the tick does not exist. Call it until the id changes.
create or replace function pgq.force_tick(i_queue_name text)
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    que pgq.queue;
begin
    select * into que from pgq.queue where queue_name = i_queue_name;
    if not found then
        return null;
    end if;
    if not que.queue_external_ticker and not que.queue_ticker_paused then
        perform setval(que.queue_event_seq::regclass,
                       nextval(que.queue_event_seq::regclass) + que.queue_ticker_max_count * 2 + 1000);
    end if;
    return (
        select tick_id from pgq.tick
        where tick_queue = que.queue_id order by tick_queue desc, tick_id desc limit 1);
end
$$;
