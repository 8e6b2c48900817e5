-- Returns the number of a queue's delayed events.
--
-- Errors: the queue does not exist.
create or replace function pgq.delayed_event_count(x_queue_name text)
returns bigint
language plpgsql stable security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    que constant pgq.queue := pgq._later_queue(x_queue_name);
begin
    return (select count(*) from pgq.delayed_queue where ev_queue = que.queue_id);
end
$$;
