-- Marks an event as applied, and forgets those of the consumer's other batches. Returns false when it was
-- marked already.
create or replace function pgq_ext.set_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgq_ext._wait_for_disk();
    -- The upsert locks the row, so only the transaction of a batch's first event runs it.
    if not exists (
        select from pgq_ext.partial_batch part
        where part.consumer_id = a_consumer
          and part.subconsumer_id = a_subconsumer
          and part.cur_batch_id = a_batch_id)
    then
        insert into pgq_ext.partial_batch as part (consumer_id, subconsumer_id, cur_batch_id)
        values (a_consumer, a_subconsumer, a_batch_id)
        on conflict (consumer_id, subconsumer_id) do update
            set cur_batch_id = excluded.cur_batch_id
            where part.cur_batch_id <> excluded.cur_batch_id;
        if found then
            delete from pgq_ext.completed_event done
            where done.consumer_id = a_consumer
              and done.subconsumer_id = a_subconsumer
              and done.batch_id <> a_batch_id;
            delete from pgq_ext.checkpoint point
            where point.consumer_id = a_consumer
              and point.subconsumer_id = a_subconsumer
              and point.kind = 'events';
        end if;
    end if;
    insert into pgq_ext.completed_event (consumer_id, subconsumer_id, batch_id, event_id)
    values (a_consumer, a_subconsumer, a_batch_id, a_event_id)
    on conflict do nothing;
    return found;
end
$$;

create or replace function pgq_ext.set_event_done(a_consumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.set_event_done(a_consumer, '', a_batch_id, a_event_id);
end
$$;

-- As above, for a batch that ends with a tick of a certain time; events of another batch with the same number are forgotten.
create or replace function pgq_ext.set_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint, a_tick_time timestamptz)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    is_new boolean;
begin
    if exists (
        select from pgq_ext.checkpoint point
        where point.consumer_id = a_consumer
          and point.subconsumer_id = a_subconsumer
          and point.kind = 'events'
          and point.number = a_batch_id
          and point.tick_time <> a_tick_time)
    then
        delete from pgq_ext.completed_event done
        where done.consumer_id = a_consumer
          and done.subconsumer_id = a_subconsumer;
    end if;
    is_new := pgq_ext.set_event_done(a_consumer, a_subconsumer, a_batch_id, a_event_id);
    if not exists (
        select from pgq_ext.checkpoint point
        where point.consumer_id = a_consumer
          and point.subconsumer_id = a_subconsumer
          and point.kind = 'events'
          and point.number = a_batch_id
          and point.tick_time = a_tick_time)
    then
        insert into pgq_ext.checkpoint as point (consumer_id, subconsumer_id, kind, number, tick_time)
        values (a_consumer, a_subconsumer, 'events', a_batch_id, a_tick_time)
        on conflict (consumer_id, subconsumer_id, kind) do update
            set number = excluded.number, tick_time = excluded.tick_time
            where point.number <> excluded.number or point.tick_time <> excluded.tick_time;
    end if;
    return is_new;
end
$$;
