-- Marks a batch as applied. Returns false when it was marked already.
create or replace function pgq_ext.set_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgq_ext._wait_for_disk();
    insert into pgq_ext.completed_batch as done (consumer_id, subconsumer_id, last_batch_id)
    values (a_consumer, a_subconsumer, a_batch_id)
    on conflict (consumer_id, subconsumer_id) do update
        set last_batch_id = excluded.last_batch_id
        where done.last_batch_id <> excluded.last_batch_id;
    if not found then
        return false;
    end if;
    -- Removes the ticks of the previous batch.
    delete from pgq_ext.checkpoint point
    where point.consumer_id = a_consumer
      and point.subconsumer_id = a_subconsumer
      and point.kind = 'batch';
    return true;
end
$$;

create or replace function pgq_ext.set_batch_done(a_consumer text, a_batch_id bigint)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.set_batch_done(a_consumer, '', a_batch_id);
end
$$;

-- As above, with the batch's ticks, which distinguish it from other batches of the same number. Returns false when this
-- batch was marked already.
create or replace function pgq_ext.set_batch_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint,
    a_prev_tick_id bigint, a_prev_tick_time timestamptz, a_tick_id bigint, a_tick_time timestamptz)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    is_new boolean;
begin
    perform pgq_ext._wait_for_disk();
    insert into pgq_ext.completed_batch as done (consumer_id, subconsumer_id, last_batch_id)
    values (a_consumer, a_subconsumer, a_batch_id)
    on conflict (consumer_id, subconsumer_id) do update
        set last_batch_id = excluded.last_batch_id
        where done.last_batch_id <> excluded.last_batch_id;
    insert into pgq_ext.checkpoint as point
        (consumer_id, subconsumer_id, kind, number, prev_tick_id, tick_id, tick_time)
    values (a_consumer, a_subconsumer, 'batch', a_batch_id, a_prev_tick_id, a_tick_id, a_tick_time)
    on conflict (consumer_id, subconsumer_id, kind) do update
        set number = excluded.number, prev_tick_id = excluded.prev_tick_id,
            tick_id = excluded.tick_id, tick_time = excluded.tick_time
        where (point.number, point.prev_tick_id, point.tick_id, point.tick_time)
            is distinct from (excluded.number, excluded.prev_tick_id, excluded.tick_id, excluded.tick_time);
    is_new := found;
    -- Last, since other subconsumers wait for its row.
    perform pgq_ext._add_completed_range(
        a_consumer, a_subconsumer, a_prev_tick_id, a_prev_tick_time, a_tick_id, a_tick_time);
    return is_new;
end
$$;
