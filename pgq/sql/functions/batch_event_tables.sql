-- Returns the tables that may hold events of a batch, the older one first. Fails when the batch does not exist.
--
-- Both tables around the last rotation can, except the older one when all transactions below `queue_switch_step2` had
-- ended before the batch begins, and the newer one when the rotation began after the batch's end (DESIGN.md, D46).
create or replace function pgq.batch_event_tables(x_batch_id bigint)
returns setof text
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
as $$
declare
    sub pgq.subscription;
    batch pg_catalog.record;
begin
    select s.* into sub from pgq.subscription s where s.sub_batch = x_batch_id;
    select q.queue_data_pfx || '_' || (q.queue_cur_table + q.queue_ntables - 1) % q.queue_ntables as older,
           q.queue_data_pfx || '_' || q.queue_cur_table as newer,
           txid_snapshot_xmin(b.tick_snapshot) > q.queue_switch_step2 as begins_after,
           txid_snapshot_xmax(e.tick_snapshot) < q.queue_switch_step1 as ends_before
    into batch
    from pgq.queue q, pgq.tick b, pgq.tick e
    where q.queue_id = sub.sub_queue
      and b.tick_queue = sub.sub_queue and b.tick_id = sub.sub_last_tick
      and e.tick_queue = sub.sub_queue and e.tick_id = sub.sub_next_tick;
    if batch.newer is null then
        raise exception 'Cannot find data for batch %', x_batch_id;
    end if;
    if batch.begins_after is not true then
        return next batch.older;
    end if;
    if batch.ends_before is not true then
        return next batch.newer;
    end if;
end
$$;
