-- Makes a batch the one whose events are recorded, and forgets the events of the batch before. The time of the batch's last
-- tick is null if the caller does not have it. Only the transaction of a batch's first event calls this function, since it
-- locks a row. Internal.
create or replace function pgq_ext._begin_events(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_tick_time timestamptz)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    had bigint;
    is_locked boolean := false;
begin
    loop
        select part.cur_batch_id into had from pgq_ext.partial_batch part
        where part.consumer_id = a_consumer and part.subconsumer_id = a_subconsumer
        order by part.cur_batch_id desc limit 1 for no key update;
        exit when found or is_locked;
        perform pgq_ext._lock_key('partial_batch', a_consumer, a_subconsumer);
        is_locked := true;
    end loop;
    if not found then
        insert into pgq_ext.partial_batch (consumer_id, subconsumer_id, cur_batch_id)
        values (a_consumer, a_subconsumer, a_batch_id);
        delete from pgq_ext.completed_event done
        where done.consumer_id = a_consumer and done.subconsumer_id = a_subconsumer and done.batch_id <> a_batch_id;
    elsif had is distinct from a_batch_id then
        update pgq_ext.partial_batch part set cur_batch_id = a_batch_id
        where part.consumer_id = a_consumer and part.subconsumer_id = a_subconsumer and part.cur_batch_id = had;
        perform pgq_ext._forget_events(a_consumer, a_subconsumer, had);
        -- A transaction that was slower than the next batch may have left events of an earlier one of this number.
        perform pgq_ext._forget_events(a_consumer, a_subconsumer, a_batch_id);
    elsif exists (
        select from pgq_ext.checkpoint point
        where point.consumer_id = a_consumer
          and point.subconsumer_id = a_subconsumer
          and point.kind = 'events'
          and point.number = a_batch_id
          and point.tick_time <> a_tick_time)
    then
        perform pgq_ext._forget_events(a_consumer, a_subconsumer, a_batch_id);
    end if;
    if a_tick_time is not null then
        perform pgq_ext._set_checkpoint(a_consumer, a_subconsumer, 'events', a_batch_id, null, null, a_tick_time);
    elsif had is distinct from a_batch_id then
        perform pgq_ext._forget_checkpoint(a_consumer, a_subconsumer, 'events', had);
        perform pgq_ext._forget_checkpoint(a_consumer, a_subconsumer, 'events', a_batch_id);
    end if;
end
$$;
