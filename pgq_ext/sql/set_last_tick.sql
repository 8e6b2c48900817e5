-- Sets the tick up to which the consumer has applied its queue, and its time; null forgets the tick, or only its time.
-- Returns 1.
create or replace function pgq_ext.set_last_tick(
    a_consumer text, a_subconsumer text, a_tick_id bigint, a_tick_time timestamptz)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgq_ext._wait_for_disk();
    if a_tick_id is null then
        delete from pgq_ext.completed_tick done
        where done.consumer_id = a_consumer
          and done.subconsumer_id = a_subconsumer;
    else
        insert into pgq_ext.completed_tick (consumer_id, subconsumer_id, last_tick_id)
        values (a_consumer, a_subconsumer, a_tick_id)
        on conflict (consumer_id, subconsumer_id) do update set last_tick_id = excluded.last_tick_id;
    end if;
    if a_tick_id is null or a_tick_time is null then
        delete from pgq_ext.checkpoint point
        where point.consumer_id = a_consumer
          and point.subconsumer_id = a_subconsumer
          and point.kind = 'tick';
    else
        insert into pgq_ext.checkpoint (consumer_id, subconsumer_id, kind, number, tick_id, tick_time)
        values (a_consumer, a_subconsumer, 'tick', a_tick_id, a_tick_id, a_tick_time)
        on conflict (consumer_id, subconsumer_id, kind) do update
            set number = excluded.number, tick_id = excluded.tick_id, tick_time = excluded.tick_time;
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
