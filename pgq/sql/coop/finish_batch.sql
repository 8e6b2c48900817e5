-- Closes the batch of any subconsumer. Calls pgq.finish_batch for a batch that belongs to no subconsumer.
--
-- Returns 1, or 0 with a warning when the batch is not open.
create or replace function pgq_coop.finish_batch(i_batch_id bigint)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq.subscription sub
    set sub_active = clock_timestamp(), sub_last_tick = null, sub_batch = null, sub_next_tick = null
    from pgq.consumer sub_name, pgq.subscription main, pgq.consumer main_name
    where sub.sub_batch = i_batch_id
      and sub_name.co_id = sub.sub_consumer
      and main.sub_queue = sub.sub_queue and main.sub_id = sub.sub_id
      and main_name.co_id = main.sub_consumer
      and starts_with(sub_name.co_name, main_name.co_name || '.');
    if found then
        return 1;
    end if;
    return pgq.finish_batch(i_batch_id);
end
$$;
