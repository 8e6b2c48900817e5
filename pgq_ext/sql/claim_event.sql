-- Records an event as applied, in the transaction that applies it. Returns false when it was recorded already. Waits for
-- another transaction that has recorded the event and has not ended; transactions of other events do not wait.
--
-- The arguments are those of begin_claims, which this function calls for the first event, and the event's id and mark.
-- Raises what begin_claims raises, and 0A000 under another isolation level than read committed.
create or replace function pgq_ext.claim_event(
    a_queue text, a_consumer text, a_batch_id bigint,
    a_prev_tick_time timestamptz, a_tick_id bigint, a_tick_time timestamptz, a_opened_at timestamptz,
    a_event_id bigint, a_event_mark bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    is_new boolean;
begin
    -- An older snapshot does not see that another process may claim the events now.
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'events are claimed in transactions with isolation level "read committed", this one has "%"',
            current_setting('transaction_isolation') using errcode = 'feature_not_supported';
    end if;
    if not pgq_ext._may_claim(a_queue, a_consumer, a_batch_id, a_tick_id, a_tick_time, a_opened_at) then
        perform pgq_ext.begin_claims(
            a_queue, a_consumer, a_batch_id, a_prev_tick_time, a_tick_id, a_tick_time, a_opened_at);
    end if;
    perform pgq_ext._wait_for_disk();
    insert into pgq_ext.claimed_event (queue_name, consumer_id, batch_id, event_id, event_mark)
    values (a_queue, a_consumer, a_batch_id, a_event_id, a_event_mark)
    on conflict do nothing;
    is_new := found;
    -- Another process may have begun since; it may have forgotten this event, or wait for it.
    if is_new and not pgq_ext._may_claim(a_queue, a_consumer, a_batch_id, a_tick_id, a_tick_time, a_opened_at) then
        raise exception 'another process has opened a batch of consumer "%" on queue "%" since', a_consumer, a_queue
            using errcode = 'object_in_use';
    end if;
    return is_new;
end
$$;
