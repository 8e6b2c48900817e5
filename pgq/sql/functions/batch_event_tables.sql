-- Returns the tables that may hold events of a batch, the older one first. Fails when there is no such batch.
--
-- Both tables around the last rotation can. Not the older one, when all transactions that may have written
-- into it had ended before the batch begins: their ids are below `queue_switch_step2`. Not the newer one,
-- when the rotation began after the batch's end.
create or replace function pgq.batch_event_tables(x_batch_id bigint)
returns setof text
language plpgsql
as $$
declare
    batch record;
begin
    select queue_data_pfx as prefix, queue_cur_table as newer,
           (queue_cur_table + queue_ntables - 1) % queue_ntables as older,
           queue_switch_step2 is not null
               and txid_snapshot_xmin(first.tick_snapshot) > queue_switch_step2 as begins_after,
           txid_snapshot_xmax(last.tick_snapshot) < queue_switch_step1 as ends_before
    into batch
    from pgq.subscription
    join pgq.queue on queue_id = sub_queue
    join pgq.tick first on first.tick_queue = sub_queue and first.tick_id = sub_last_tick
    join pgq.tick last on last.tick_queue = sub_queue and last.tick_id = sub_next_tick
    where sub_batch = x_batch_id;
    if not found then
        raise exception 'Cannot find data for batch %', x_batch_id;
    end if;
    if not batch.begins_after then
        return next batch.prefix || '_' || batch.older;
    end if;
    if not batch.ends_before then
        return next batch.prefix || '_' || batch.newer;
    end if;
end
$$;
