-- Sets the tick behind a number. Returns whether anything has changed. Internal.
create or replace function pgq_ext._set_checkpoint(
    a_consumer text, a_subconsumer text, a_kind text, a_number bigint,
    a_prev_tick_id bigint, a_tick_id bigint, a_tick_time timestamptz)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    had pgq_ext.checkpoint;
    is_locked boolean := false;
begin
    loop
        select * into had from pgq_ext.checkpoint point
        where point.consumer_id = a_consumer and point.subconsumer_id = a_subconsumer and point.kind = a_kind
        order by point.number desc limit 1 for no key update;
        exit when found or is_locked;
        perform pgq_ext._lock_key('checkpoint', a_consumer, a_subconsumer, a_kind);
        is_locked := true;
    end loop;
    if not found then
        insert into pgq_ext.checkpoint (consumer_id, subconsumer_id, kind, number, prev_tick_id, tick_id, tick_time)
        values (a_consumer, a_subconsumer, a_kind, a_number, a_prev_tick_id, a_tick_id, a_tick_time);
        return true;
    end if;
    if (had.number, had.prev_tick_id, had.tick_id, had.tick_time)
        is not distinct from (a_number, a_prev_tick_id, a_tick_id, a_tick_time)
    then
        return false;
    end if;
    update pgq_ext.checkpoint point
    set number = a_number, prev_tick_id = a_prev_tick_id, tick_id = a_tick_id, tick_time = a_tick_time
    where point.consumer_id = a_consumer and point.subconsumer_id = a_subconsumer and point.kind = a_kind
      and point.number = had.number;
    return true;
end
$$;
