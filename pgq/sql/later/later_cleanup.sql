-- Deletes what is kept for a queue when the queue is dropped: delayed events, schedules and keys.
create or replace function pgq.later_cleanup()
returns trigger
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
begin
    -- On a table of another role, the function would read a column of that role's type with the owner's rights.
    if tg_relid <> 'pgq.queue'::regclass then
        raise exception 'pgq.later_cleanup is a trigger of pgq.queue alone' using errcode = 'insufficient_privilege';
    end if;
    delete from pgq.delayed_queue where ev_queue in (select queue_id from gone);
    delete from pgq.delayed_mark where mark_queue in (select queue_id from gone);
    delete from pgq.scheduled_time where next_event in (
        select ev_id from pgq.scheduled_event where ev_queue in (select queue_id from gone));
    delete from pgq.scheduled_event where ev_queue in (select queue_id from gone);
    delete from pgq.event_key_0 where key_queue in (select queue_id from gone);
    delete from pgq.event_key_1 where key_queue in (select queue_id from gone);
    delete from pgq.event_key_2 where key_queue in (select queue_id from gone);
    return null;
end
$$;

revoke all on function pgq.later_cleanup() from public;

create or replace trigger later_cleanup
after delete on pgq.queue
referencing old table as gone
for each statement execute function pgq.later_cleanup();
