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
as $$
begin
    select coalesce(bool_or(point.number is null or is_same), false), coalesce(bool_or(is_same), false)
    into is_done, has_ticks
    from pgq_ext.completed_batch done
    left join pgq_ext.checkpoint point
        on point.consumer_id = done.consumer_id and point.subconsumer_id = done.subconsumer_id
        and point.kind = 'batch' and point.number = done.last_batch_id
    cross join lateral (select coalesce(
        point.prev_tick_id = a_prev_tick_id and point.tick_id = a_tick_id and point.tick_time = a_tick_time, false
    )) compared (is_same)
    where done.consumer_id = a_consumer and done.last_batch_id = a_batch_id
      and (a_subconsumer <> '' or done.subconsumer_id = '');

    select done.ticks && int8range(a_prev_tick_id, a_tick_id), done.last_tick_id, done.last_tick_time
    into is_applied, last_tick_id, last_tick_time
    from pgq_ext.completed_range done where done.consumer_id = a_consumer;
    is_applied := coalesce(is_applied, false);

    select done.last_batch_id, point.tick_id, point.tick_time into own_batch_id, own_tick_id, own_tick_time
    from pgq_ext.completed_batch done
    left join pgq_ext.checkpoint point
        on point.consumer_id = done.consumer_id and point.subconsumer_id = done.subconsumer_id
        and point.kind = 'batch' and point.number = done.last_batch_id
    where done.consumer_id = a_consumer and done.subconsumer_id = a_subconsumer;
end
$$;
