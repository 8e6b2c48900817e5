-- Drops a queue and its events; with `force`, also unregisters its consumers. Returns 1. Fails when the queue
-- does not exist, or has consumers and the call does not force.
create or replace function pgq.drop_queue(x_queue_name text, x_force boolean)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    que pgq.queue;
begin
    select q.* into que from pgq.queue q where q.queue_name = x_queue_name for update;
    if que.queue_id is null then
        raise exception 'No such event queue';
    end if;
    if x_force is not true and exists (select from pgq.subscription s where s.sub_queue = que.queue_id) then
        raise exception 'cannot drop queue, consumers still attached';
    end if;
    perform pgq.unregister_consumer(x_queue_name, c.co_name)
    from pgq.subscription s
    join pgq.consumer c on c.co_id = s.sub_consumer
    where s.sub_queue = que.queue_id;
    for part in 0 .. que.queue_ntables - 1 loop
        perform pgq._ddl(format('drop table if exists %s', pgq.quote_fqname(que.queue_data_pfx || '_' || part)));
    end loop;
    perform pgq._ddl(format('drop table if exists %s', pgq.quote_fqname(que.queue_data_pfx)));
    perform pgq._ddl(format('drop sequence if exists %s, %s', pgq.quote_fqname(que.queue_event_seq),
                   pgq.quote_fqname(que.queue_tick_seq)));
    delete from pgq.retry_queue where ev_queue = que.queue_id;
    delete from pgq.tick where tick_queue = que.queue_id;
    delete from pgq.queue where queue_id = que.queue_id;
    return 1;
end
$$;

create or replace function pgq.drop_queue(x_queue_name text)
returns integer
language plpgsql strict set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq.drop_queue(x_queue_name, false);
end
$$;
