-- Stores an event that is inserted into its queue at a time: by the ticker of this project at most a second later, or by
-- pgq.maint_delayed_events. A time that is over is due at once. Belongs to the transaction, as pgq.insert_event does.
--
-- Returns the id of the delayed event, with which it can be cancelled. In the queue the event has another id, by which it
-- is in order with the events that are inserted at the same time. Its ev_time is `ev_due`.
--
-- Errors: the queue does not exist or takes no events; the time is null or infinite.
create or replace function pgq.insert_event_at(
    queue_name text, ev_due timestamptz, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
#variable_conflict use_column
declare
    que constant pgq.queue := pgq._later_queue($1);
    id bigint;
begin
    if $2 is null or not isfinite($2) then
        raise exception 'the time of a delayed event must be finite, and is `%`', $2
            using errcode = 'invalid_parameter_value';
    end if;
    if que.queue_disable_insert and current_setting('session_replication_role') <> 'replica' then
        raise exception 'inserting into queue `%` is disabled', $1 using errcode = 'object_not_in_prerequisite_state';
    end if;
    -- Until the end of this transaction the queue is not dropped.
    execute format('lock table only %s in access share mode', pgq.quote_fqname(que.queue_data_pfx));
    insert into pgq.delayed_queue (
        ev_queue, ev_due, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    values (que.queue_id, $2, $3, $4, $5, $6, $7, $8)
    returning ev_id into id;
    perform from pgq.delayed_mark m where m.mark_queue = que.queue_id order by m.mark_no desc limit 1;
    if not found then
        insert into pgq.delayed_mark (mark_queue, mark_no, mark_time) values (que.queue_id, 0, '-infinity');
    end if;
    return id;
end
$$;

create or replace function pgq.insert_event_at(queue_name text, ev_due timestamptz, ev_type text, ev_data text)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq.insert_event_at($1, $2, $3, $4, null, null, null, null);
end
$$;
