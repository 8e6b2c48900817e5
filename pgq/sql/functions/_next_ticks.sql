-- Describes the ticks after a consumer's position: whether the consumer is registered, the time from its tick to the newest
-- one, and whether the following tick has a time. A time from or to `infinity` is null. Visits the newest version of the
-- position only (DESIGN.md, D125).
create or replace function pgq._next_ticks(
    i_queue_name text, i_consumer_name text,
    out is_registered boolean, out behind interval, out is_following_finite boolean)
returns record
language plpgsql set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    sub pgq.subscription;
    own timestamptz;
    newest timestamptz;
begin
    select position.* into sub
    from pgq.queue q
    join pgq.consumer c on c.co_name = i_consumer_name
    cross join lateral (
        select s.* from pgq.subscription s where s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
        order by s.sub_active desc limit 1) position
    where q.queue_name = i_queue_name;
    is_registered := sub.sub_queue is not null;
    if is_registered then
        own := t.tick_time from pgq.tick t where t.tick_queue = sub.sub_queue and t.tick_id = sub.sub_last_tick;
        newest := t.tick_time from pgq.tick t where t.tick_queue = sub.sub_queue order by t.tick_id desc limit 1;
        is_following_finite := isfinite(t.tick_time) from pgq.tick t
        where t.tick_queue = sub.sub_queue and t.tick_id > sub.sub_last_tick order by t.tick_id limit 1;
        behind := case when isfinite(own) and isfinite(newest) then newest - own end;
    end if;
end
$$;
