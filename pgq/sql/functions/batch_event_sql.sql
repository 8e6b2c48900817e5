-- Returns a query for a batch's events, in the order of their ids. Fails when there is no such batch.
--
-- An event belongs to the batch when its transaction is visible to the last tick and not to the first. That
-- is a range of transaction ids, from the first tick's xmax to the last one's, less those that the last tick
-- saw running; and one by one those that the first tick saw running and the last tick saw done.
create or replace function pgq.batch_event_sql(x_batch_id bigint)
returns text
language plpgsql
as $$
declare
    batch record;
    condition text;
    part text;
    parts text[];
    wanted constant text := 'select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data,'
        ' ev_extra1, ev_extra2, ev_extra3, ev_extra4 from ';
begin
    select sub_id, txid_snapshot_xmax(first.tick_snapshot) as range_start,
           txid_snapshot_xmax(last.tick_snapshot) as range_end,
           array(select id from txid_snapshot_xip(last.tick_snapshot) id
                 where id >= txid_snapshot_xmax(first.tick_snapshot)) as still_running,
           array(select id from txid_snapshot_xip(first.tick_snapshot) id
                 where txid_visible_in_snapshot(id, last.tick_snapshot)) as ended
    into batch
    from pgq.subscription
    join pgq.tick first on first.tick_queue = sub_queue and first.tick_id = sub_last_tick
    join pgq.tick last on last.tick_queue = sub_queue and last.tick_id = sub_next_tick
    where sub_batch = x_batch_id;
    if not found then
        raise exception 'batch not found';
    end if;
    condition := format('ev_txid >= %s and ev_txid < %s', batch.range_start, batch.range_end);
    if batch.still_running <> '{}' then
        condition := condition || format(' and ev_txid <> all (%L::bigint[])', batch.still_running);
    end if;
    for part in select pgq.batch_event_tables(x_batch_id) loop
        parts := parts || (wanted || part || format(' where %s and (ev_owner is null or ev_owner = %s)',
                                                    condition, batch.sub_id));
        if batch.ended <> '{}' then
            parts := parts || (wanted || part || format(
                ' where ev_txid = any (%L::bigint[]) and (ev_owner is null or ev_owner = %s)',
                batch.ended, batch.sub_id));
        end if;
    end loop;
    return array_to_string(parts, ' union all ') || ' order by 1';
end
$$;
