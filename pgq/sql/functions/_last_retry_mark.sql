-- Returns the last mark of the retry events, or one before all events. Internal.
--
-- A mark that was inserted by another transaction than it names was copied from another server, whose transaction ids
-- mean nothing here. Nor do ids that this server has not reached, as after its ids were set back.
create or replace function pgq._last_retry_mark()
returns pgq.retry_mark
language plpgsql stable set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    mark pgq.retry_mark;
    is_own boolean;
begin
    select m.mark_no, m.mark_time, m.mark_snapshot, m.mark_txid,
           m.xmin::text::bigint = m.mark_txid & 4294967295
               and (m.mark_txid < txid_snapshot_xmax(txid_current_snapshot()) or m.mark_txid = txid_current_if_assigned())
    into mark.mark_no, mark.mark_time, mark.mark_snapshot, mark.mark_txid, is_own
    from pgq.retry_mark m order by m.mark_no desc limit 1;
    if is_own is not true then
        mark.mark_time := '-infinity';
        mark.mark_snapshot := null;
    end if;
    return mark;
end
$$;
