-- Returns the queues that have due retry events. Internal.
create or replace function pgq._due_retry_queues()
returns setof integer
language plpgsql set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    mark pgq.retry_mark := pgq._last_retry_mark();
begin
    return query
        select r.ev_queue from (
            select ev_queue, ev_retry_after from pgq.retry_queue
            where ev_txid >= txid_snapshot_xmax(mark.mark_snapshot)
               or ev_txid = any (array(select txid_snapshot_xip(mark.mark_snapshot) union all select mark.mark_txid))
            offset 0) r
        where r.ev_retry_after < mark.mark_time and r.ev_retry_after <= now()
        union
        select r.ev_queue from pgq.retry_queue r
        where r.ev_retry_after >= mark.mark_time and r.ev_retry_after <= now();
end
$$;
