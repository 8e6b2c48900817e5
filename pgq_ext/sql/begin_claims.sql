-- Lets a process claim the events of a batch that it has opened, and stops those that have opened it before. Forgets the
-- events of the batch before. `a_opened_at` is when the process opened the batch, by the source's clock. Does nothing if
-- the process may claim the events already.
--
-- Raises 55006 if another process has opened the batch, or a later one, after this process; 55000 if the batch begins
-- before the end of another one whose events were claimed, since the source was restored or the consumer was moved back.
create or replace function pgq_ext.begin_claims(
    a_queue text, a_consumer text, a_batch_id bigint,
    a_prev_tick_time timestamptz, a_tick_id bigint, a_tick_time timestamptz, a_opened_at timestamptz)
returns void
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    had pgq_ext.claimed_batch;
    is_same boolean;
    is_locked boolean := false;
begin
    if pgq_ext._may_claim(a_queue, a_consumer, a_batch_id, a_tick_id, a_tick_time, a_opened_at) then
        return;
    end if;
    perform pgq_ext._wait_for_disk();
    loop
        select * into had from pgq_ext.claimed_batch batch
        where batch.queue_name = a_queue and batch.consumer_id = a_consumer
        order by batch.opened_at desc limit 1 for no key update;
        exit when found or is_locked;
        perform pgq_ext._lock_key('claimed_batch', a_queue, a_consumer);
        is_locked := true;
    end loop;
    if not found then
        insert into pgq_ext.claimed_batch (queue_name, consumer_id, batch_id, tick_id, tick_time, opened_at)
        values (a_queue, a_consumer, a_batch_id, a_tick_id, a_tick_time, a_opened_at);
        return;
    end if;
    is_same := (had.batch_id, had.tick_id, had.tick_time) = (a_batch_id, a_tick_id, a_tick_time);
    if a_opened_at < had.opened_at and (is_same or a_prev_tick_time < had.tick_time) then
        raise exception 'another process has opened batch % of consumer "%" on queue "%" since',
            had.batch_id, a_consumer, a_queue using errcode = 'object_in_use';
    elsif not is_same and a_prev_tick_time < had.tick_time then
        raise exception 'batch % of consumer "%" on queue "%" begins at %, events up to % were applied here in batch %',
            a_batch_id, a_consumer, a_queue, a_prev_tick_time, had.tick_time, had.batch_id
            using errcode = 'object_not_in_prerequisite_state',
            hint = 'pgq_ext.forget_batches forgets the applied events; then those of this batch are applied.';
    end if;
    update pgq_ext.claimed_batch batch
    set batch_id = a_batch_id, tick_id = a_tick_id, tick_time = a_tick_time, opened_at = a_opened_at
    where batch.queue_name = a_queue and batch.consumer_id = a_consumer and batch.opened_at = had.opened_at;
    if not is_same then
        perform pgq_ext._forget_claims(a_queue, a_consumer, had.batch_id);
        -- A transaction that was slower than the next batch may have left events of an earlier one of this number.
        perform pgq_ext._forget_claims(a_queue, a_consumer, a_batch_id);
    end if;
end
$$;
