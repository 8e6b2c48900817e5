-- Returns the queue of a name. Internal.
--
-- Errors: the queue does not exist.
create or replace function pgq._later_queue(i_queue_name text)
returns pgq.queue
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    que pgq.queue;
begin
    select * into que from pgq.queue q where q.queue_name = i_queue_name;
    if not found then
        raise exception 'queue `%` does not exist', i_queue_name using errcode = 'undefined_object';
    end if;
    return que;
end
$$;
