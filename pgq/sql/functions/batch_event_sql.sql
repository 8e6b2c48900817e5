-- Returns a query for a batch's events, in the order of their ids. Fails when there is no such batch.
--
-- An event belongs to the batch when its transaction is visible to the last tick and not to the first. That
-- is a range of transaction ids, from the first tick's xmax to the last one's, less those that the last tick
-- saw running; and one by one those that the first tick saw running and the last tick saw done.
create or replace function pgq.batch_event_sql(x_batch_id bigint)
returns text
language plpgsql set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    batch record;
    conditions text[];
begin
    select s.sub_id, txid_snapshot_xmax(b.tick_snapshot) as range_start,
           txid_snapshot_xmax(e.tick_snapshot) as range_end,
           array(select id from txid_snapshot_xip(e.tick_snapshot) id
                 where id >= txid_snapshot_xmax(b.tick_snapshot)) as still_running,
           array(select id from txid_snapshot_xip(b.tick_snapshot) id
                 where txid_visible_in_snapshot(id, e.tick_snapshot)) as ended
    into batch
    from pgq.subscription s
    join pgq.tick b on b.tick_queue = s.sub_queue and b.tick_id = s.sub_last_tick
    join pgq.tick e on e.tick_queue = s.sub_queue and e.tick_id = s.sub_next_tick
    where s.sub_batch = x_batch_id;
    if batch.sub_id is null then
        raise exception 'batch not found';
    end if;
    conditions := array[format('ev_txid >= %s and ev_txid < %s', batch.range_start, batch.range_end)];
    if batch.still_running <> '{}' then
        conditions[1] := conditions[1] || format(' and ev_txid <> all (%L::bigint[])', batch.still_running);
    end if;
    if batch.ended <> '{}' then
        conditions[2] := format('ev_txid = any (%L::bigint[])', batch.ended);
    end if;
    return (
        select string_agg(format(
                   'select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data,'
                   ' ev_extra1, ev_extra2, ev_extra3, ev_extra4 from %s'
                   ' where %s and (ev_owner is null or ev_owner = %s)', part, condition, batch.sub_id),
                   ' union all ') || ' order by 1'
        from pgq.batch_event_tables(x_batch_id) part, unnest(conditions) condition);
end
$$;
