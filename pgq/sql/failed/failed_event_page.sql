-- Returns a consumer's failed events in the order of their ids: the first x_cnt with an id above x_after, and all
-- others with the last one's id. A null x_after starts at the first event.
--
-- Errors: the consumer is not registered on the queue; x_cnt is negative.
create or replace function pgq.failed_event_page(
    x_queue_name text, x_consumer_name text, x_after bigint, x_cnt integer)
returns setof pgq.failed_queue
language plpgsql stable security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    owner constant integer := pgq._failed_event_owner(x_queue_name, x_consumer_name);
begin
    return query
        select * from pgq.failed_queue
        where ev_owner = owner and ev_id > coalesce(x_after, -9223372036854775808)
        order by ev_id
        fetch first (coalesce(x_cnt, 2147483647)) rows with ties;
end
$$;
