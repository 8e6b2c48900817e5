-- Removes a consumer from a queue, with its retry events and the subconsumers that share its subscription. Removes a
-- subconsumer, whose row has a whole batch or no tick at all, alone. Returns the number of removed subscriptions.
create or replace function pgq.unregister_consumer(x_queue_name text, x_consumer_name text)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    sub record;
    removed integer;
begin
    select sub_id, sub_queue, sub_consumer, num_nulls(sub_last_tick, sub_next_tick) <> 1 as may_be_member into sub
    from pgq.subscription
    join pgq.queue on queue_id = sub_queue
    join pgq.consumer on co_id = sub_consumer
    where queue_name = x_queue_name and co_name = x_consumer_name
    for update of subscription, consumer;
    if not found then
        return 0;
    end if;
    if sub.may_be_member
        and exists (select from pgq.subscription s
                    where s.sub_id = sub.sub_id and s.sub_consumer <> sub.sub_consumer)
    then
        delete from pgq.subscription where sub_queue = sub.sub_queue and sub_consumer = sub.sub_consumer;
        return 1;
    end if;
    delete from pgq.retry_queue where ev_owner = sub.sub_id;
    delete from pgq.subscription where sub_id = sub.sub_id;
    get diagnostics removed = row_count;
    delete from pgq.consumer c
    where c.co_id = sub.sub_consumer
      and not exists (select from pgq.subscription s where s.sub_consumer = c.co_id);
    return removed;
end
$$;
