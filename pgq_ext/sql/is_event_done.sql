-- Returns whether the consumer has applied an event of its current batch.
create or replace function pgq_ext.is_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    -- An event of another batch than the current one is left of a transaction that was slower than the next batch.
    return exists (
        select from pgq_ext.completed_event done
        where done.consumer_id = a_consumer
          and done.subconsumer_id = a_subconsumer
          and done.batch_id = a_batch_id
          and done.event_id = a_event_id)
        and coalesce((
            select part.cur_batch_id from pgq_ext.partial_batch part
            where part.consumer_id = a_consumer
              and part.subconsumer_id = a_subconsumer
            order by part.cur_batch_id desc limit 1) = a_batch_id, true);
end
$$;

create or replace function pgq_ext.is_event_done(a_consumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.is_event_done(a_consumer, '', a_batch_id, a_event_id);
end
$$;

-- As above, for a batch that ends with a tick of a certain time: events of another batch with the same number do not count.
create or replace function pgq_ext.is_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint, a_tick_time timestamptz)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    return not exists (
        select from pgq_ext.checkpoint point
        where point.consumer_id = a_consumer
          and point.subconsumer_id = a_subconsumer
          and point.kind = 'events'
          and point.number = a_batch_id
          and point.tick_time <> a_tick_time)
        and pgq_ext.is_event_done(a_consumer, a_subconsumer, a_batch_id, a_event_id);
end
$$;
