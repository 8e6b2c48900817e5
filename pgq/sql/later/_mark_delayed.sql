-- Records for a queue, or for all, that no delayed event before the earliest one is left. Returns the time of the earliest
-- one in a queue that takes events, or null if there is none. Internal.
--
-- `i_force` records also what the last mark says, for a transaction that has delivered events.
create or replace function pgq._mark_delayed(i_queue_id integer, i_force boolean)
returns timestamptz
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    que record;
    earliest timestamptz;
begin
    for que in select * from pgq._delayed_state(i_queue_id) loop
        if que.is_open then
            earliest := least(earliest, que.due);
        end if;
        if i_force or que.new_events > 0 or que.mark_time <> coalesce(que.due, 'infinity') then
            insert into pgq.delayed_mark (mark_queue, mark_no, mark_time, mark_snapshot)
            values (que.queue_id, que.mark_no + 1, coalesce(que.due, 'infinity'), que.snapshot);
            delete from pgq.delayed_mark where mark_queue = que.queue_id and mark_no = (
                select m.mark_no from pgq.delayed_mark m
                where m.mark_queue = que.queue_id and m.mark_no = que.mark_no limit 1 for update skip locked);
        end if;
    end loop;
    return earliest;
end
$$;
