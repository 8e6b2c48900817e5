-- Returns the tick up to which the consumer has applied its queue, with its time. The time is null if it is not recorded;
-- both are null if there is no tick.
create or replace function pgq_ext.get_checkpoint(
    a_consumer text, a_subconsumer text, out tick_id bigint, out tick_time timestamptz)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    select done.last_tick_id, point.tick_time into tick_id, tick_time
    from (
        select last.last_tick_id from pgq_ext.completed_tick last
        where last.consumer_id = a_consumer and last.subconsumer_id = a_subconsumer
        order by last.last_tick_id desc limit 1) done
    left join lateral (
        select same.tick_time from pgq_ext.checkpoint same
        where same.consumer_id = a_consumer and same.subconsumer_id = a_subconsumer
          and same.kind = 'tick' and same.number = done.last_tick_id
        limit 1) point on true;
end
$$;
