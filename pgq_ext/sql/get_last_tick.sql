-- Returns the tick up to which the consumer has applied its queue, or null.
create or replace function pgq_ext.get_last_tick(a_consumer text, a_subconsumer text)
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    return (
        select done.last_tick_id from pgq_ext.completed_tick done
        where done.consumer_id = a_consumer
          and done.subconsumer_id = a_subconsumer
        order by done.last_tick_id desc limit 1);
end
$$;

create or replace function pgq_ext.get_last_tick(a_consumer text)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.get_last_tick(a_consumer, '');
end
$$;
