-- Returns the tick up to which the consumer has applied its queue, with its time. The time is null if it is not recorded;
-- both are null if there is no tick.
create or replace function pgq_ext.get_checkpoint(
    a_consumer text, a_subconsumer text, out tick_id bigint, out tick_time timestamptz)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
begin
    select done.last_tick_id, point.tick_time into tick_id, tick_time
    from pgq_ext.completed_tick done
    left join pgq_ext.checkpoint point
        on point.consumer_id = done.consumer_id and point.subconsumer_id = done.subconsumer_id
        and point.kind = 'tick' and point.number = done.last_tick_id
    where done.consumer_id = a_consumer and done.subconsumer_id = a_subconsumer;
end
$$;
