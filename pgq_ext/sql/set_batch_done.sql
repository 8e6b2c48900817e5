-- Marks a batch as applied. Returns false when it was marked already.
create or replace function pgq_ext.set_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    had bigint;
begin
    perform pgq_ext._wait_for_disk();
    had := pgq_ext._set_last_batch(a_consumer, a_subconsumer, a_batch_id);
    if had = a_batch_id then
        return false;
    end if;
    perform pgq_ext._forget_checkpoint(a_consumer, a_subconsumer, 'batch', had);
    -- A number that an operator has changed may have left a tick behind this one.
    perform pgq_ext._forget_checkpoint(a_consumer, a_subconsumer, 'batch', a_batch_id);
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
    perform pgq_ext._set_last_batch(a_consumer, a_subconsumer, a_batch_id);
    is_new := pgq_ext._set_checkpoint(
        a_consumer, a_subconsumer, 'batch', a_batch_id, a_prev_tick_id, a_tick_id, a_tick_time);
    -- Last, since other subconsumers wait for its row.
    perform pgq_ext._add_completed_range(
        a_consumer, a_subconsumer, a_prev_tick_id, a_prev_tick_time, a_tick_id, a_tick_time);
    return is_new;
end
$$;
