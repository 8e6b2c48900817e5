-- Returns the delayed events of a queue in the order of their times: all of them, or x_cnt behind the first x_offset.
--
-- Errors: the queue does not exist; x_cnt or x_offset is negative.
create or replace function pgq.delayed_event_list(x_queue_name text, x_cnt integer, x_offset integer)
returns setof pgq.delayed_queue
language plpgsql stable security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    que constant pgq.queue := pgq._later_queue(x_queue_name);
begin
    return query
        select * from pgq.delayed_queue
        where ev_queue = que.queue_id
        order by ev_due, ev_id
        limit x_cnt offset x_offset;
end
$$;

create or replace function pgq.delayed_event_list(x_queue_name text)
returns setof pgq.delayed_queue
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select * from pgq.delayed_event_list(x_queue_name, null, null)
$$;
