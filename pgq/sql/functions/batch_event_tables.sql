-- Returns the tables that may hold events of a batch, the older one first. Fails when there is no such batch.
--
-- Both tables around the last rotation can. Not the older one, when all transactions that may have written
-- into it had ended before the batch begins: their ids are below `queue_switch_step2`. Not the newer one,
-- when the rotation began after the batch's end.
create or replace function pgq.batch_event_tables(x_batch_id bigint)
returns setof text
language plpgsql
as $$
begin
    return query
        select q.queue_data_pfx || '_' || part.number
        from pgq.subscription s
        join pgq.queue q on q.queue_id = s.sub_queue
        join pgq.tick b on b.tick_queue = s.sub_queue and b.tick_id = s.sub_last_tick
        join pgq.tick e on e.tick_queue = s.sub_queue and e.tick_id = s.sub_next_tick
        cross join lateral (values
            (1, (q.queue_cur_table + q.queue_ntables - 1) % q.queue_ntables,
             txid_snapshot_xmin(b.tick_snapshot) > q.queue_switch_step2),
            (2, q.queue_cur_table,
             txid_snapshot_xmax(e.tick_snapshot) < q.queue_switch_step1)) part (place, number, out_of_range)
        where s.sub_batch = x_batch_id and part.out_of_range is not true
        order by part.place;
    if not found then
        raise exception 'Cannot find data for batch %', x_batch_id;
    end if;
end
$$;
