-- Returns a query for a batch's events, in the order of their ids. Fails when the batch does not exist, when row
-- security hides events from the role, and when none of the queue's tables can have the batch's events, as in a
-- database that was moved.
--
-- An event belongs to the batch when its transaction is visible to the last tick and not to the first (DESIGN.md, D42):
-- a range of transaction ids, and one by one those that the first tick saw running (D43).
--
-- Types are qualified, since functions with their owner's rights call this one: a session compiles the function once,
-- possibly under a path in which a type of the caller hides the real one.
create or replace function pgq.batch_event_sql(x_batch_id bigint)
returns text
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
as $$
declare
    sub pgq.subscription;
    batch pg_catalog.record;
    condition pg_catalog.text;
    part pg_catalog.text;
    parts pg_catalog.text[];
    wanted constant pg_catalog.text := 'select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data,'
        ' ev_extra1, ev_extra2, ev_extra3, ev_extra4 from ';
begin
    select s.* into sub from pgq.subscription s where s.sub_batch = x_batch_id;
    select sub.sub_id, txid_snapshot_xmax(b.tick_snapshot) as range_start,
           txid_snapshot_xmax(e.tick_snapshot) as range_end,
           array(select id from txid_snapshot_xip(e.tick_snapshot) id
                 where id >= txid_snapshot_xmax(b.tick_snapshot)) as still_running,
           array(select id from txid_snapshot_xip(b.tick_snapshot) id
                 where txid_visible_in_snapshot(id, e.tick_snapshot)) as ended
    into batch
    from pgq.tick b, pgq.tick e
    where b.tick_queue = sub.sub_queue and b.tick_id = sub.sub_last_tick
      and e.tick_queue = sub.sub_queue and e.tick_id = sub.sub_next_tick;
    if batch.sub_id is null then
        raise exception 'batch not found';
    end if;
    condition := format('ev_txid >= %s and ev_txid < %s', batch.range_start, batch.range_end);
    if batch.still_running <> '{}' then
        condition := condition || format(' and ev_txid <> all (%L::bigint[])', batch.still_running);
    end if;
    for part in select pgq.batch_event_tables(x_batch_id) loop
        -- Without this check, events that row security hides would be lost.
        if pg_catalog.row_security_active(pg_catalog.to_regclass(part)::pg_catalog.oid) then
            raise exception 'row security of table % hides events of the batch from role %', part, current_user
                using errcode = 'insufficient_privilege';
        end if;
        parts := parts || (wanted || part || format(' where %s and (ev_owner is null or ev_owner = %s)',
                                                    condition, batch.sub_id));
        if batch.ended <> '{}' then
            parts := parts || (wanted || part || format(
                ' where ev_txid = any (%L::bigint[]) and (ev_owner is null or ev_owner = %s)',
                batch.ended, batch.sub_id));
        end if;
    end loop;
    if parts is null then
        raise exception 'cannot read batch %: no table can have its events', x_batch_id
            using errcode = 'data_corrupted',
                  hint = 'The database was moved here; run "pgqadm CONFIG.ini repair".';
    end if;
    return array_to_string(parts, ' union all ') || ' order by 1';
end
$$;
