-- Closes the batch of any subconsumer. Calls pgq.finish_batch for a batch that belongs to no subconsumer.
--
-- Returns 1, or 0 with a warning when the batch is not open.
create or replace function pgq_coop.finish_batch(i_batch_id bigint)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    -- A subconsumer has the id of the consumer whose name its own begins with.
    update pgq.subscription sub
    set sub_active = clock_timestamp(), sub_last_tick = null, sub_batch = null, sub_next_tick = null
    from pgq.consumer sub_name
    where sub.sub_batch = i_batch_id
      and sub_name.co_id = sub.sub_consumer
      and exists (
        select from generate_series(1, length(sub_name.co_name)) dot
        join pgq.consumer main_name on main_name.co_name = left(sub_name.co_name, dot - 1)
        cross join lateral (
            select main.sub_id from pgq.subscription main
            where main.sub_queue = sub.sub_queue and main.sub_consumer = main_name.co_id
            order by main.sub_active desc limit 1) main
        where substr(sub_name.co_name, dot, 1) = '.' and main.sub_id = sub.sub_id);
    if found then
        return 1;
    end if;
    return pgq.finish_batch(i_batch_id);
end
$$;
