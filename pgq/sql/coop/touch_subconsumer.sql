-- Marks a subconsumer with an open batch as alive, so that no other subconsumer takes its batch over while it works.
--
-- Call the function outside of the transaction that processes the batch: other sessions see the mark when it is
-- committed. Each call makes a new version of a row; a third of the interval that the others pass to next_batch is often
-- enough.
--
-- Returns 1, or 0 when the subconsumer is not registered or has no batch open, as after a takeover. The function waits
-- for no lock: a row that another session has locked belongs to a live subconsumer, stays as it is, and counts as 1.
create or replace function pgq_coop.touch_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    silent pgq.subscription;
begin
    select own.* into silent
    from pgq.queue
    join pgq.consumer main_name on main_name.co_name = i_consumer_name
    join pgq.consumer own_name on own_name.co_name = i_consumer_name || '.' || i_subconsumer_name
    cross join lateral (
        select s.sub_id from pgq.subscription s
        where s.sub_queue = queue_id and s.sub_consumer = main_name.co_id
        order by s.sub_active desc limit 1) main
    cross join lateral (
        select s.* from pgq.subscription s
        where s.sub_queue = queue_id and s.sub_consumer = own_name.co_id
        order by s.sub_active desc limit 1) own
    where queue_name = i_queue_name and own.sub_id = main.sub_id and own.sub_batch is not null;
    if not found then
        return 0;
    end if;

    perform from pgq.subscription
    where sub_queue = silent.sub_queue and sub_consumer = silent.sub_consumer
      and sub_active = silent.sub_active and sub_batch = silent.sub_batch
    for no key update skip locked;
    if found then
        update pgq.subscription set sub_active = clock_timestamp()
        where sub_queue = silent.sub_queue and sub_consumer = silent.sub_consumer
          and sub_active = silent.sub_active and sub_batch = silent.sub_batch;
    end if;
    return 1;
end
$$;
