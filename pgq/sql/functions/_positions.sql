-- Returns the positions of the consumers of one queue, or with null of all queues. Visits the newest version of each row
-- only, so that versions that an old snapshot keeps do not slow the function down (DESIGN.md, D125).
create or replace function pgq._positions(i_queue_id integer)
returns setof pgq.subscription
language plpgsql stable set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    sub pgq.subscription;
begin
    select s.* into sub from pgq.subscription s where s.sub_queue >= coalesce(i_queue_id, -2147483648)
    order by s.sub_queue, s.sub_consumer, s.sub_active desc limit 1;
    while sub.sub_queue = coalesce(i_queue_id, sub.sub_queue) loop
        return next sub;
        select s.* into sub from pgq.subscription s
        where (s.sub_queue, s.sub_consumer) > (sub.sub_queue, sub.sub_consumer)
        order by s.sub_queue, s.sub_consumer, s.sub_active desc limit 1;
    end loop;
end
$$;
