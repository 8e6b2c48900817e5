-- Returns a consumer's failed events in the order of their ids: all of them, or x_cnt behind the first
-- x_offset.
--
-- Errors: the consumer is not registered on the queue; x_cnt or x_offset is negative.
create or replace function pgq.failed_event_list(
    x_queue_name text, x_consumer_name text, x_cnt integer, x_offset integer)
returns setof pgq.failed_queue
language plpgsql stable security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    owner constant integer := pgq._failed_event_owner(x_queue_name, x_consumer_name);
begin
    return query
        select * from pgq.failed_queue
        where ev_owner = owner
        order by ev_id, ev_failed_no
        limit x_cnt offset x_offset;
end
$$;

create or replace function pgq.failed_event_list(x_queue_name text, x_consumer_name text)
returns setof pgq.failed_queue
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select * from pgq.failed_event_list(x_queue_name, x_consumer_name, null, null)
$$;
