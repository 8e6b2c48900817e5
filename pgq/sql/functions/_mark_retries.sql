-- Records that no retry event before the earliest one is left. Returns the time of the earliest one, or null if there is
-- none. Internal.
--
-- `i_force` records also what the last mark says, for a transaction that has delivered events.
create or replace function pgq._mark_retries(i_force boolean)
returns timestamptz
language plpgsql set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    mark pgq.retry_mark := pgq._last_retry_mark();
    earliest timestamptz;
    snapshot txid_snapshot;
    new_events bigint;
begin
    -- One statement, so that the snapshot is that of the search.
    select least(late.time, early.time), txid_current_snapshot(), late.events into earliest, snapshot, new_events
    from (
        select min(r.ev_retry_after) filter (where r.ev_retry_after < mark.mark_time),
               -- An id that this server has not reached is of another server, and the event is not new.
               count(*) filter (where r.ev_txid < txid_snapshot_xmax(txid_current_snapshot())
                                   or r.ev_txid = txid_current_if_assigned())
        from pgq.retry_queue r
        where (r.ev_txid >= txid_snapshot_xmax(mark.mark_snapshot)
               or r.ev_txid = any (array(select txid_snapshot_xip(mark.mark_snapshot) union all select mark.mark_txid)))) late (time, events)
    left join (
        select r.ev_retry_after from pgq.retry_queue r where r.ev_retry_after >= mark.mark_time
        order by r.ev_retry_after limit 1) early (time) on true;
    if i_force or new_events > 0 or mark.mark_time <> coalesce(earliest, 'infinity') then
        insert into pgq.retry_mark (mark_no, mark_time, mark_snapshot)
        values (coalesce(mark.mark_no, 0) + 1, coalesce(earliest, 'infinity'), snapshot);
        delete from pgq.retry_mark where mark_no in (
            select m.mark_no from pgq.retry_mark m where m.mark_no = mark.mark_no for update skip locked);
    end if;
    return earliest;
end
$$;
