-- Inserts a delayed event into its queue. Internal.
create or replace function pgq._deliver_one(i_queue_name text, event pgq.delayed_queue)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgq.insert_event_raw(
        i_queue_name, null, event.ev_due, null, null, event.ev_type, event.ev_data,
        event.ev_extra1, event.ev_extra2, event.ev_extra3, event.ev_extra4);
    delete from pgq.delayed_queue where ev_id = event.ev_id;
end
$$;

-- Inserts up to a hundred due delayed events of a queue into it, in the order of their times, and no more than a
-- transaction may insert. Returns the number of events. Does not insert events that another session delivers or cancels.
-- Internal.
create or replace function pgq._deliver_delayed(i_queue_id integer)
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    mark record;
    event pgq.delayed_queue;
    moment constant timestamptz := clock_timestamp();
    delivered integer := 0;
    wanted integer;
begin
    select s.* into mark from pgq._delayed_state(i_queue_id) s;
    if mark.is_open is not true then
        return 0;
    end if;
    wanted := (select least(100, q.queue_per_tx_limit) from pgq.queue q where q.queue_id = i_queue_id);
    for event in
        select e.* from pgq.delayed_queue e
        where e.ev_id = any (array(
                (select n.ev_id from pgq.delayed_queue n
                 where n.ev_queue = i_queue_id and n.ev_txid >= txid_snapshot_xmax(mark.mark_snapshot)
                 order by n.ev_txid offset 0)
                union all
                select n.ev_id from (
                    select txid_snapshot_xip(mark.mark_snapshot) union select mark.mark_txid) running (id)
                cross join lateral (
                    select n.ev_id from pgq.delayed_queue n
                    where n.ev_queue = i_queue_id and n.ev_txid >= running.id and n.ev_txid <= running.id
                    order by n.ev_txid offset 0) n))
          -- Not for an index: that of the times has all deleted events, too.
          and (e.ev_due < mark.mark_time and e.ev_due <= moment) is true
        limit wanted for update skip locked
    loop
        perform pgq._deliver_one(mark.queue_name, event);
        delivered := delivered + 1;
    end loop;
    for event in
        select e.* from pgq.delayed_queue e
        where e.ev_queue = i_queue_id and e.ev_due >= mark.mark_time and e.ev_due <= moment
        order by e.ev_due limit wanted - delivered for update skip locked
    loop
        perform pgq._deliver_one(mark.queue_name, event);
        delivered := delivered + 1;
    end loop;
    return delivered;
end
$$;
