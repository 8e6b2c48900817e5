-- Sets the tick up to which the consumer has applied its queue, and its time; null forgets the tick, or only its time.
-- Returns 1.
create or replace function pgq_ext.set_last_tick(
    a_consumer text, a_subconsumer text, a_tick_id bigint, a_tick_time timestamptz)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    had bigint;
    is_locked boolean := false;
begin
    perform pgq_ext._wait_for_disk();
    loop
        select done.last_tick_id into had from pgq_ext.completed_tick done
        where done.consumer_id = a_consumer and done.subconsumer_id = a_subconsumer
        order by done.last_tick_id desc limit 1 for no key update;
        exit when found or is_locked or a_tick_id is null;
        perform pgq_ext._lock_key('completed_tick', a_consumer, a_subconsumer);
        is_locked := true;
    end loop;
    if a_tick_id is null then
        delete from pgq_ext.completed_tick done
        where done.consumer_id = a_consumer and done.subconsumer_id = a_subconsumer and done.last_tick_id = had;
    elsif not found then
        insert into pgq_ext.completed_tick (consumer_id, subconsumer_id, last_tick_id)
        values (a_consumer, a_subconsumer, a_tick_id);
    elsif had <> a_tick_id then
        update pgq_ext.completed_tick done set last_tick_id = a_tick_id
        where done.consumer_id = a_consumer and done.subconsumer_id = a_subconsumer and done.last_tick_id = had;
    end if;
    if a_tick_id is null or a_tick_time is null then
        perform pgq_ext._forget_checkpoint(a_consumer, a_subconsumer, 'tick', had);
        perform pgq_ext._forget_checkpoint(a_consumer, a_subconsumer, 'tick', a_tick_id);
    else
        perform pgq_ext._set_checkpoint(a_consumer, a_subconsumer, 'tick', a_tick_id, null, a_tick_id, a_tick_time);
    end if;
    return 1;
end
$$;

create or replace function pgq_ext.set_last_tick(a_consumer text, a_subconsumer text, a_tick_id bigint)
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.set_last_tick(a_consumer, a_subconsumer, a_tick_id, null::pg_catalog.timestamptz);
end
$$;

create or replace function pgq_ext.set_last_tick(a_consumer text, a_tick_id bigint)
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.set_last_tick(a_consumer, '', a_tick_id, null::pg_catalog.timestamptz);
end
$$;
