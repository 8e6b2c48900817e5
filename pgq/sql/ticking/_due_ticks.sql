-- Returns the queues that may have a tick due, with the channel of their notifications. Internal.
--
-- `steps` says how often a tick may be forced if pgq.ticker makes none: for a queue of `i_retried`, whose retry events
-- have no new ids, and for one whose last tick is in the future or is ahead of the sequence of events. Each forced tick
-- moves that sequence. `obstacle` says why a queue must not be ticked (DESIGN.md, D61 and D62).
create or replace function pgq._due_ticks(i_retried integer[], i_skipped integer[])
returns table (queue_id integer, queue_name text, channel text, steps bigint, obstacle text)
language sql set search_path = pg_catalog, pg_temp set row_security = off
as $$
    with candidate as (
        select q.*, newest.*, before.tick_time as before_time,
               txid_snapshot_xmax(newest.tick_snapshot) as next_id,
               case when has_sequence_privilege(to_regclass(q.queue_event_seq), 'select')
                   then coalesce(pg_sequence_last_value(to_regclass(q.queue_event_seq)), pgq.seq_getval(q.queue_event_seq))
                   end as event_reached,
               case when has_sequence_privilege(to_regclass(q.queue_tick_seq), 'select')
                   then coalesce(pg_sequence_last_value(to_regclass(q.queue_tick_seq)), pgq.seq_getval(q.queue_tick_seq) - 1)
                   end as tick_reached
        from pgq.queue q
        left join lateral (
            select t.tick_id, t.tick_time, t.tick_event_seq, t.tick_snapshot from pgq.tick t
            where t.tick_queue = q.queue_id order by t.tick_queue desc, t.tick_id desc limit 1) newest on true
        left join lateral (
            select t.tick_time from pgq.tick t where t.tick_queue = q.queue_id and t.tick_id < newest.tick_id
            order by t.tick_queue desc, t.tick_id desc limit 1) before on true
        where not q.queue_external_ticker and not q.queue_ticker_paused and q.queue_id <> all (i_skipped)
    ), judged as (
        select c.*, c.event_reached - c.tick_event_seq as new_events,
               case when isfinite(c.tick_time) then now() - c.tick_time else c.queue_ticker_max_lag end as age,
               c.tick_time > clock_timestamp() or c.event_reached < c.tick_event_seq as is_odd,
               case
                   when c.next_id > txid_snapshot_xmax(txid_current_snapshot()) then
                       'its last tick has transaction ids that the server has not reached'
                   when c.tick_reached < c.tick_id and exists (select from pg_extension where extname = 'pgq') then
                       format('sequence `%s` is behind the last tick', c.queue_tick_seq)
                   end as why
        from candidate c
    )
    select j.queue_id, j.queue_name,
           'pgq:' || case when octet_length(named.bytes) <= 59 then j.queue_name
               else left(encode(sha256(named.bytes), 'hex'), 40) end,
           case
               when j.is_odd then least(2000, greatest(
                   1, (j.tick_event_seq - j.event_reached) / (2::bigint * j.queue_ticker_max_count + 1000) + 1))
               when j.queue_id = any (i_retried) then 1
               else 0
           end,
           case when j.why is not null then
               format('cannot tick queue `%s`: %s; run `pgqadm CONFIG.ini repair`', j.queue_name, j.why) end
    from (
        select * from judged
        where why is not null or is_odd or queue_id = any (i_retried) or case
            when new_events > 0 then new_events >= queue_ticker_max_count or age >= queue_ticker_max_lag
            when new_events = 0 and isfinite(before_time) and isfinite(tick_time) then
                age >= greatest(queue_ticker_max_lag / 2,
                                least((tick_time - before_time) * 2, queue_ticker_idle_period))
            else true
            end) j
    cross join lateral (
        select case when getdatabaseencoding() = 'SQL_ASCII' then convert_to(j.queue_name, 'SQL_ASCII')
            else convert_to(j.queue_name, 'UTF8') end) named (bytes)
    order by j.queue_id
$$;
