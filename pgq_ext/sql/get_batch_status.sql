-- Returns the record of a batch of a remote consumer. With a subconsumer, the records of all subconsumers count, since a
-- batch may be taken over.
--
-- is_done: this very batch is recorded, or its number without ticks.
-- has_ticks: the batch is recorded with its ticks.
-- is_applied: a batch that is recorded has ticks in common with this one.
-- last_tick_id, last_tick_time: the last tick of all batches that are recorded with their ticks, or null.
-- own_batch_id, own_tick_id, own_tick_time: the record that the next one of this subconsumer replaces, or null.
create or replace function pgq_ext.get_batch_status(
    a_consumer text, a_subconsumer text, a_batch_id bigint,
    a_prev_tick_id bigint, a_tick_id bigint, a_tick_time timestamptz,
    out is_done boolean, out has_ticks boolean, out is_applied boolean,
    out last_tick_id bigint, out last_tick_time timestamptz,
    out own_batch_id bigint, out own_tick_id bigint, out own_tick_time timestamptz)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    select coalesce(bool_or(point.number is null or is_same), false), coalesce(bool_or(is_same), false)
    into is_done, has_ticks
    from pgq_ext.completed_batch done
    left join lateral (
        select * from pgq_ext.checkpoint same
        where same.consumer_id = a_consumer and same.subconsumer_id = done.subconsumer_id
          and same.kind = 'batch' and same.number = a_batch_id
        limit 1) point on true
    cross join lateral (select coalesce(
        point.prev_tick_id = a_prev_tick_id and point.tick_id = a_tick_id and point.tick_time = a_tick_time, false
    )) compared (is_same)
    where done.last_batch_id::text || ' ' || done.consumer_id = a_batch_id::text || ' ' || a_consumer
      and (a_subconsumer <> '' or done.subconsumer_id = '');

    select done.ticks && int8range(a_prev_tick_id, a_tick_id), done.last_tick_id, done.last_tick_time
    into is_applied, last_tick_id, last_tick_time
    from pgq_ext.completed_range done where done.consumer_id = a_consumer
    order by done.last_tick_id desc limit 1;
    is_applied := coalesce(is_applied, false);

    select done.last_batch_id, point.tick_id, point.tick_time into own_batch_id, own_tick_id, own_tick_time
    from (
        select last.last_batch_id from pgq_ext.completed_batch last
        where last.consumer_id = a_consumer and last.subconsumer_id = a_subconsumer
        order by last.last_batch_id desc limit 1) done
    left join lateral (
        select same.tick_id, same.tick_time from pgq_ext.checkpoint same
        where same.consumer_id = a_consumer and same.subconsumer_id = a_subconsumer
          and same.kind = 'batch' and same.number = done.last_batch_id
        limit 1) point on true;
end
$$;
