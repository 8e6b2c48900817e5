-- Returns up to `i_limit` retry events that are due, of one queue, or with null of all queues, and locks them. Internal.
--
-- The last mark says that no event before its time was left in its snapshot. So only events after that time can be due,
-- and those of transactions that the snapshot does not contain. Delivered events, which an old snapshot keeps in the table,
-- are not visited (DESIGN.md, D126).
create or replace function pgq._due_retries(i_queue_id integer, i_limit integer)
returns setof pgq.retry_queue
language plpgsql set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    mark pgq.retry_mark := pgq._last_retry_mark();
    late bigint;
begin
    return query
        select r.* from (
            select * from pgq.retry_queue
            where ev_txid >= txid_snapshot_xmax(mark.mark_snapshot)
               or ev_txid = any (array(select txid_snapshot_xip(mark.mark_snapshot) union all select mark.mark_txid))
            offset 0) r
        where r.ev_retry_after < mark.mark_time and r.ev_retry_after <= now()
          and (r.ev_queue = i_queue_id or i_queue_id is null)
        limit i_limit for update;
    get diagnostics late = row_count;
    return query
        select r.* from pgq.retry_queue r
        where r.ev_retry_after >= mark.mark_time and r.ev_retry_after <= now()
          and (r.ev_queue = i_queue_id or i_queue_id is null)
        order by r.ev_retry_after limit i_limit - late for update;
end
$$;
