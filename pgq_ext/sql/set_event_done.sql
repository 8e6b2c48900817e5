-- Marks an event as applied, and forgets those of the consumer's batch before. Returns false when it was marked already.
create or replace function pgq_ext.set_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    perform pgq_ext._wait_for_disk();
    if not exists (
        select from pgq_ext.partial_batch part
        where part.consumer_id = a_consumer
          and part.subconsumer_id = a_subconsumer
          and part.cur_batch_id = a_batch_id)
    then
        perform pgq_ext._begin_events(a_consumer, a_subconsumer, a_batch_id, null);
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
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    perform pgq_ext._wait_for_disk();
    if not exists (
        select from pgq_ext.checkpoint point
        where point.consumer_id = a_consumer
          and point.subconsumer_id = a_subconsumer
          and point.kind = 'events'
          and point.number = a_batch_id
          and point.tick_time = a_tick_time)
        or not exists (
        select from pgq_ext.partial_batch part
        where part.consumer_id = a_consumer
          and part.subconsumer_id = a_subconsumer
          and part.cur_batch_id = a_batch_id)
    then
        perform pgq_ext._begin_events(a_consumer, a_subconsumer, a_batch_id, a_tick_time);
    end if;
    insert into pgq_ext.completed_event (consumer_id, subconsumer_id, batch_id, event_id)
    values (a_consumer, a_subconsumer, a_batch_id, a_event_id)
    on conflict do nothing;
    return found;
end
$$;
