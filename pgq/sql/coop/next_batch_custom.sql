-- Gives a subconsumer a batch: the subconsumer's open batch, else that of a dead subconsumer, else the
-- consumer's next one.
--
-- i_min_lag, i_min_count and i_min_interval are those of pgq.next_batch_custom. A subconsumer that has a
-- batch open and has given no sign of life for i_dead_interval is dead, and its batch is taken over under the
-- same id; null takes over none. A sign of life is a call of this function. A batch that the consumer itself
-- has open, from a time without subconsumers, goes to the first subconsumer that calls this function.
--
-- A consumer or subconsumer that is not registered is registered first, as by register_subconsumer. A takeover
-- unregisters the dead subconsumer; its next call registers it again.
--
-- Returns the columns of pgq.next_batch_custom. The batch's id is null when there is no batch.
--
-- Errors: those of register_subconsumer.
create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count integer, i_min_interval interval, i_dead_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    main pgq.subscription;
    own pgq.subscription;
    batch pgq.subscription;
begin
    -- Calls for a batch of one consumer take turns here.
    main := pgq_coop._lock_subscription(i_queue_name, i_consumer_name);
    if main.sub_id is null then
        perform pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
        main := pgq_coop._lock_subscription(i_queue_name, i_consumer_name);
    end if;
    own := pgq_coop._lock_subscription(i_queue_name, i_consumer_name || '.' || i_subconsumer_name);
    if own.sub_id is distinct from main.sub_id then
        perform pgq_coop._add_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name, main);
        own := pgq_coop._lock_subscription(i_queue_name, i_consumer_name || '.' || i_subconsumer_name);
    end if;

    batch := own;
    if batch.sub_batch is null and i_dead_interval is not null then
        batch := pgq_coop._take_from_dead(i_consumer_name, own, i_dead_interval);
    end if;
    if batch.sub_batch is null then
        batch := pgq_coop._take_from_main(
            i_queue_name, i_consumer_name, main, i_min_lag, i_min_count, i_min_interval);
    end if;
    if batch.sub_batch is null then
        -- pgq.finish_batch leaves the subconsumer a position, which would hold up rotation.
        update pgq.subscription set sub_last_tick = null
        where sub_queue = own.sub_queue and sub_consumer = own.sub_consumer and sub_active = own.sub_active
          and sub_last_tick is not null;
        return;
    end if;

    update pgq.subscription
    set sub_active = clock_timestamp(), sub_last_tick = batch.sub_last_tick,
        sub_batch = batch.sub_batch, sub_next_tick = batch.sub_next_tick
    where sub_queue = own.sub_queue and sub_consumer = own.sub_consumer and sub_active = own.sub_active;
    select batch.sub_batch, cur.tick_id, cur.tick_time, cur.tick_event_seq,
           prev.tick_id, prev.tick_time, prev.tick_event_seq
    into batch_id, cur_tick_id, cur_tick_time, cur_tick_event_seq,
         prev_tick_id, prev_tick_time, prev_tick_event_seq
    from pgq.tick cur, pgq.tick prev
    where cur.tick_queue = own.sub_queue and cur.tick_id = batch.sub_next_tick
      and prev.tick_queue = own.sub_queue and prev.tick_id = batch.sub_last_tick;
end
$$;

create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count integer, i_min_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record
language sql set search_path = pg_catalog, pg_temp
as $$
    select * from pgq_coop.next_batch_custom($1, $2, $3, $4, $5, $6, null)
$$;
