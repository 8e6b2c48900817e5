-- Schedules an event: the ticker of this project inserts it into the queue at each time of a cron pattern in a time zone.
-- `next_time` is the first time; with null the ticker computes it. The pattern and the zone are not checked here, but by
-- programs such as `pgqadm schedule`, and by the ticker, which logs why it cannot compute a time.
--
-- A schedule of the queue with the same name is replaced. Its next time stays if the pattern and the zone do.
--
-- Returns whether the schedule is new, whether it or an older one was changed, and the next time.
--
-- Errors: the queue does not exist or takes no events; a name, a pattern or a zone is null or longer than 1000 bytes; the
-- time is infinite; the schedule of that name belongs to another role, and this one may not call pgq.maint_delayed_events.
create or replace function pgq.schedule_event(
    queue_name text, schedule_name text, cron text, zone text, next_time timestamptz, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text,
    out is_new boolean, out is_changed boolean, out due timestamptz)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
#variable_conflict use_column
declare
    que constant pgq.queue := pgq._later_queue($1);
    event pgq.scheduled_event;
    newest record;
    id bigint;
begin
    if ($2 is null or $3 is null or $4 is null) or greatest(octet_length($2), octet_length($3), octet_length($4)) > 1000 then
        raise exception 'the name, the cron pattern and the time zone of a schedule must have at most 1000 bytes each'
            using errcode = 'invalid_parameter_value';
    end if;
    if not isfinite($5) then
        raise exception 'the next time of a schedule must be finite, and is `%`', $5
            using errcode = 'invalid_parameter_value';
    end if;
    if que.queue_disable_insert and current_setting('session_replication_role') <> 'replica' then
        raise exception 'inserting into queue `%` is disabled', $1 using errcode = 'object_not_in_prerequisite_state';
    end if;
    -- Until the end of this transaction the queue is not dropped.
    execute format('lock table only %s in access share mode', pgq.quote_fqname(que.queue_data_pfx));
    insert into pgq.scheduled_event (
        ev_queue, ev_name, ev_cron, ev_zone, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    values (que.queue_id, $2, $3, $4, $6, $7, $8, $9, $10, $11)
    on conflict (ev_queue, ev_name) do nothing
    returning ev_id into id;
    is_new := id is not null;
    if is_new then
        perform pgq._set_scheduled_time(id, null, $5);
        is_changed := true;
        due := $5;
        return;
    end if;

    select * into event from pgq.scheduled_event e where e.ev_queue = que.queue_id and e.ev_name = $2 for update;
    if not found then
        raise exception 'could not serialize access due to concurrent removal of schedule `%`', $2
            using errcode = 'serialization_failure';
    end if;
    perform pgq._scheduled_event_owner(event, $1);
    select max(t.next_no) as no, max(t.next_time) as time into newest from (
        select * from pgq.scheduled_time t where t.next_event = event.ev_id order by t.next_no desc limit 1) t;
    due := newest.time;
    is_changed := (event.ev_cron, event.ev_zone) is distinct from ($3, $4);
    if is_changed or newest.time is null then
        perform pgq._set_scheduled_time(event.ev_id, newest.no, $5);
        due := $5;
    end if;
    if is_changed
        or (event.ev_type, event.ev_data, event.ev_extra1, event.ev_extra2, event.ev_extra3, event.ev_extra4)
            is distinct from ($6, $7, $8, $9, $10, $11)
    then
        update pgq.scheduled_event
        set ev_cron = $3, ev_zone = $4, ev_time = now(), ev_type = $6, ev_data = $7,
            ev_extra1 = $8, ev_extra2 = $9, ev_extra3 = $10, ev_extra4 = $11
        where ev_id = event.ev_id;
        is_changed := true;
    end if;
end
$$;

-- Fails unless the session's user has made the schedule or may change those of others. Internal.
create or replace function pgq._scheduled_event_owner(event pgq.scheduled_event, i_queue_name text)
returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
    if event.ev_role <> session_user and not has_function_privilege(session_user, 'pgq.maint_delayed_events()', 'execute') then
        raise exception 'schedule `%` of queue `%` belongs to role `%`', event.ev_name, i_queue_name, event.ev_role
            using errcode = 'insufficient_privilege';
    end if;
end
$$;
