-- Opens the consumer's next batch and moves the consumer behind it. Internal.
--
-- Returns the consumer's row with the batch open, or the unchanged row when there is no batch.
create or replace function pgq_coop._take_from_main(
    i_queue_name text, i_consumer_name text, i_main pgq.subscription,
    i_min_lag interval, i_min_count integer, i_min_interval interval)
returns pgq.subscription
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
as $$
declare
    opened record;
begin
    select * into opened
    from pgq.next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval);
    if opened.batch_id is not null then
        i_main.sub_batch := opened.batch_id;
        i_main.sub_next_tick := opened.cur_tick_id;
        update pgq.subscription
        set sub_last_tick = opened.cur_tick_id, sub_batch = null, sub_next_tick = null
        where sub_batch = opened.batch_id;
    end if;
    return i_main;
end
$$;
