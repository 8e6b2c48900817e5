-- Sets the times of ticks, rotations and signs of life that are in the future to the present. The tick of a consumer's
-- position, or of the end of its batch, keeps its time, since other systems may have recorded that time; an infinite time
-- is replaced. On a queue with an external ticker, only infinite times are replaced.
do $$
begin
    update pgq.tick t set tick_time = pg_catalog.now() - after.place * '1 microsecond'::pg_catalog.interval
    from (
        select u.tick_queue, u.tick_id,
               pg_catalog.row_number() over (partition by u.tick_queue order by u.tick_id desc) as place
        from pgq.tick u join pgq.queue q on q.queue_id = u.tick_queue
        where u.tick_time > pg_catalog.clock_timestamp()
          and (not pg_catalog.isfinite(u.tick_time) or not q.queue_external_ticker and not exists (
              select from pgq.subscription s
              where s.sub_queue = u.tick_queue and u.tick_id in (s.sub_last_tick, s.sub_next_tick)))) after
    where t.tick_queue = after.tick_queue and t.tick_id = after.tick_id;
    update pgq.queue set queue_switch_time = pg_catalog.now()
    where queue_switch_time > pg_catalog.clock_timestamp();
    update pgq.subscription set sub_active = pg_catalog.now() where sub_active > pg_catalog.clock_timestamp();
end
$$;
