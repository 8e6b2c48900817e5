-- Describes one queue; null means all queues.
--
-- `ev_per_sec` is taken over the last twenty ticks; `ev_new` counts the ids taken since the last tick.
create or replace function pgq.get_queue_info(
    i_queue_name text, out queue_name text, out queue_ntables integer, out queue_cur_table integer,
    out queue_rotation_period interval, out queue_switch_time timestamptz, out queue_external_ticker boolean,
    out queue_ticker_paused boolean, out queue_ticker_max_count integer, out queue_ticker_max_lag interval,
    out queue_ticker_idle_period interval, out ticker_lag interval, out ev_per_sec double precision,
    out ev_new bigint, out last_tick_id bigint)
returns setof record
language plpgsql set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select que.queue_name, que.queue_ntables, que.queue_cur_table, que.queue_rotation_period,
               que.queue_switch_time, que.queue_external_ticker, que.queue_ticker_paused,
               que.queue_ticker_max_count, que.queue_ticker_max_lag, que.queue_ticker_idle_period,
               case when pg_catalog.isfinite(newest.tick_time) then now() - newest.tick_time end,
               (newest.tick_event_seq - before.tick_event_seq)
                   / case
                         when pg_catalog.isfinite(newest.tick_time) and pg_catalog.isfinite(before.tick_time)
                         then nullif(extract(epoch from newest.tick_time - before.tick_time), 0)::double precision
                     end,
               pgq.seq_getval(que.queue_event_seq) - newest.tick_event_seq, newest.tick_id
        from pgq.queue que
        left join lateral (
            select tick_id, tick_time, tick_event_seq from pgq.tick where tick_queue = que.queue_id
            order by tick_queue desc, tick_id desc limit 1) newest on true
        left join lateral (
            select tick_time, tick_event_seq from pgq.tick
            where tick_queue = que.queue_id and tick_id >= newest.tick_id - 20
            order by tick_queue, tick_id limit 1) before on true
        where que.queue_name = i_queue_name or i_queue_name is null
        order by que.queue_name;
end
$$;

create or replace function pgq.get_queue_info(
    out queue_name text, out queue_ntables integer, out queue_cur_table integer,
    out queue_rotation_period interval, out queue_switch_time timestamptz, out queue_external_ticker boolean,
    out queue_ticker_paused boolean, out queue_ticker_max_count integer, out queue_ticker_max_lag interval,
    out queue_ticker_idle_period interval, out ticker_lag interval, out ev_per_sec double precision,
    out ev_new bigint, out last_tick_id bigint)
returns setof record
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return query select * from pgq.get_queue_info(null::text);
end
$$;
