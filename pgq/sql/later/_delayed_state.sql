-- Returns the queues that may have delayed events, or the given one: the time of the earliest event, or null if there is
-- none, the snapshot in which it is, the last mark, and the number of events that the mark does not include. Internal.
--
-- The last mark of a queue says that no event before its time was left in its snapshot. So only events from that time on
-- are visited, and those of transactions that the snapshot does not contain. Delivered events, which an old snapshot keeps
-- in the table, are not visited (DESIGN.md, D126 and D128).
--
-- A mark that was inserted by another transaction than it names was copied from another server, whose transaction ids mean
-- nothing here. Nor do ids that this server has not reached, as after its ids were set back. An event with an id that this server has not reached was copied, too, and is no new one.
create or replace function pgq._delayed_state(
    i_queue_id integer, out queue_id integer, out queue_name text, out is_open boolean, out due timestamptz,
    out snapshot txid_snapshot, out mark_no bigint, out mark_time timestamptz, out mark_snapshot txid_snapshot,
    out mark_txid bigint, out new_events bigint)
returns setof record
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
#variable_conflict use_column
begin
    return query
        select q.queue_id, q.queue_name, not q.queue_disable_insert and coalesce(q.queue_per_tx_limit, 1) <> 0,
            least(late.due, early.due), txid_current_snapshot(), mark.no, mark.time, mark.snapshot, mark.txid,
            late.events
        from pgq.queue q
        cross join lateral (
            select m.mark_no as no, m.mark_txid as txid,
                case when own.counts then m.mark_time else '-infinity' end as time,
                case when own.counts then m.mark_snapshot end as snapshot
            from pgq.delayed_mark m
            cross join lateral (select
                m.xmin::text::bigint = m.mark_txid & 4294967295
                and (m.mark_txid < txid_snapshot_xmax(txid_current_snapshot())
                     or m.mark_txid is not distinct from txid_current_if_assigned())) own (counts)
            where m.mark_queue = q.queue_id
            order by m.mark_no desc limit 1) mark
        cross join lateral (
            select min(late.ev_due) filter (where late.ev_due < mark.time) as due, count(*) as events
            from (
                -- Only the index on ev_txid has this order, so that the planner cannot take the other one.
                (select n.ev_due, n.ev_txid from pgq.delayed_queue n
                 where n.ev_queue = q.queue_id and n.ev_txid >= txid_snapshot_xmax(mark.snapshot)
                 order by n.ev_txid offset 0)
                union all
                select n.* from (
                    select txid_snapshot_xip(mark.snapshot)
                    union select mark.txid where mark.txid < txid_snapshot_xmax(mark.snapshot)) running (id)
                cross join lateral (
                    select n.ev_due, n.ev_txid from pgq.delayed_queue n
                    where n.ev_queue = q.queue_id and n.ev_txid >= running.id and n.ev_txid <= running.id
                    order by n.ev_txid offset 0) n) late
            where late.ev_txid < txid_snapshot_xmax(txid_current_snapshot())
               or late.ev_txid = txid_current_if_assigned()) late
        left join lateral (
            select e.ev_due as due from pgq.delayed_queue e
            where e.ev_queue = q.queue_id and e.ev_due >= mark.time
            order by e.ev_due limit 1) early on true
        where q.queue_id = i_queue_id or i_queue_id is null;
end
$$;
