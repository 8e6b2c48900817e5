-- Describes consumers. A null queue means all queues, a null consumer means all consumers.
create or replace function pgq.get_consumer_info(
    i_queue_name text, i_consumer_name text, out queue_name text, out consumer_name text, out lag interval,
    out last_seen interval, out last_tick bigint, out current_batch bigint, out next_tick bigint,
    out pending_events bigint)
returns setof record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select que.queue_name, co_name,
               case when pg_catalog.isfinite(own.tick_time) then now() - own.tick_time end, now() - sub_active, sub_last_tick, sub_batch,
               sub_next_tick, newest.tick_event_seq - own.tick_event_seq
        from pgq._positions((select q.queue_id from pgq.queue q where q.queue_name = i_queue_name))
        join pgq.queue que on queue_id = sub_queue
        join pgq.consumer on co_id = sub_consumer
        left join pgq.tick own on own.tick_queue = sub_queue and own.tick_id = sub_last_tick
        left join lateral (
            select tick_event_seq from pgq.tick where tick_queue = sub_queue
            order by tick_queue desc, tick_id desc limit 1) newest on true
        where (que.queue_name = i_queue_name or i_queue_name is null)
          and (co_name = i_consumer_name or i_consumer_name is null)
        order by que.queue_name, co_name;
end
$$;

create or replace function pgq.get_consumer_info(
    i_queue_name text, out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    return query select * from pgq.get_consumer_info(i_queue_name, null);
end
$$;

create or replace function pgq.get_consumer_info(
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    return query select * from pgq.get_consumer_info(null, null);
end
$$;
