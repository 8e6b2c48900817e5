-- Returns the inconsistencies of PgQ's tables with the server, the clock, or each other: one row for each, with its kind,
-- queue, consumer, object, and the numbers reached and needed. Every role may run it; objects that the role may not read
-- are skipped.
with moment as materialized (
    -- A transaction is not in its own snapshot, but may have written its id.
    select greatest(pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()),
                    pg_catalog.txid_current_if_assigned() + 1::pg_catalog.int8) as next_id,
           pg_catalog.clock_timestamp() as time
), sequence as materialized (
    select named.name, named.need, named.kind, named.queue, case
               when cls.oid is not null and pg_catalog.has_sequence_privilege(cls.oid, 'select'::pg_catalog.text)
               -- A sequence without a last value returns its set value next. Ticks treat that value as the last one.
               then coalesce(pg_catalog.pg_sequence_last_value(cls.oid::pg_catalog.regclass),
                             pgq.seq_getval(named.name)
                                 - case named.kind when 'event-sequence' then 0::pg_catalog.int8 else 1::pg_catalog.int8 end)
               end as reached
    from (
        select 'tick-sequence', que.queue_name, que.queue_tick_seq, newest.tick_id
        from pgq.queue que
        cross join lateral (
            select t.tick_id from pgq.tick t where t.tick_queue = que.queue_id
            order by t.tick_queue desc, t.tick_id desc limit 1) newest
        union all
        select 'event-sequence', que.queue_name, que.queue_event_seq, newest.tick_event_seq
        from pgq.queue que
        cross join lateral (
            select t.tick_event_seq from pgq.tick t where t.tick_queue = que.queue_id
            order by t.tick_queue desc, t.tick_id desc limit 1) newest
        union all
        select 'subscription-sequence', null, 'pgq.subscription_sub_id_seq', pg_catalog.max(sub_id) from pgq.subscription
        union all
        select 'batch-sequence', null, 'pgq.batch_id_seq', pg_catalog.max(sub_batch) from pgq.subscription
        union all
        select 'consumer-sequence', null, 'pgq.consumer_co_id_seq', pg_catalog.max(co_id) from pgq.consumer
        union all
        select 'queue-sequence', null, 'pgq.queue_queue_id_seq', pg_catalog.max(queue_id) from pgq.queue
    ) named (kind, queue, name, need)
    left join pg_catalog.pg_class cls on cls.oid = pg_catalog.to_regclass(named.name)::pg_catalog.oid and cls.relkind = 'S'
), known as materialized (
    select s.sub_id, s.sub_queue, s.sub_consumer, s.sub_last_tick, s.sub_next_tick, c.co_name,
           pg_catalog.num_nulls(s.sub_last_tick, s.sub_next_tick) = 1 as is_alone
    from pgq.subscription s join pgq.consumer c on c.co_id = s.sub_consumer
), doubled as materialized (
    -- Subconsumers share their consumer's id, and their names begin with its name.
    select k.*, coalesce(main.co_name, k.co_name) as team
    from known k
    left join lateral (
        select m.co_name from known m
        where m.sub_id = k.sub_id and m.sub_queue = k.sub_queue and not k.is_alone
          and pg_catalog.starts_with(k.co_name, m.co_name || '.'::pg_catalog.text)
        order by pg_catalog.length(m.co_name) limit 1) main on true
    where k.sub_id in (select sub_id from known group by sub_id having pg_catalog.count(*) > 1)
), keeper as materialized (
    select distinct on (sub_id) sub_id, sub_queue, team from doubled
    where co_name = team order by sub_id, sub_consumer, sub_queue
)
select kind, queue, null::pg_catalog.text as consumer, name as object, reached, need::pg_catalog.int8
from sequence where reached < need
union all
select 'tick-id', que.queue_name, null, null, moment.next_id, newest.next_id
from moment cross join pgq.queue que
cross join lateral (
    select pg_catalog.txid_snapshot_xmax(t.tick_snapshot) as next_id from pgq.tick t where t.tick_queue = que.queue_id
    order by t.tick_queue desc, t.tick_id desc limit 1) newest
where newest.next_id > moment.next_id
union all
select 'consumer-id', que.queue_name, k.co_name, null, least(moment.next_id, newest.next_id),
       pg_catalog.txid_snapshot_xmax(own.tick_snapshot)
from moment cross join known k
join pgq.queue que on que.queue_id = k.sub_queue
join pgq.tick own on own.tick_queue = k.sub_queue and own.tick_id = k.sub_last_tick
cross join lateral (
    select t.tick_id, pg_catalog.txid_snapshot_xmax(t.tick_snapshot) as next_id from pgq.tick t
    where t.tick_queue = que.queue_id
    order by t.tick_queue desc, t.tick_id desc limit 1) newest
where own.tick_id < newest.tick_id
  and pg_catalog.txid_snapshot_xmax(own.tick_snapshot) > least(moment.next_id, newest.next_id)
union all
select 'rotation-id', queue_name, null, null, moment.next_id, greatest(queue_switch_step1, queue_switch_step2)
from moment cross join pgq.queue
where greatest(queue_switch_step1, queue_switch_step2) >= moment.next_id
union all
select 'tick-time', que.queue_name, null, null, null,
       case when pg_catalog.isfinite(newest.tick_time)
            then pg_catalog.date_part('epoch'::pg_catalog.text, newest.tick_time - moment.time)::pg_catalog.int8 end
from moment cross join pgq.queue que
cross join lateral (
    select t.tick_time from pgq.tick t where t.tick_queue = que.queue_id
    order by t.tick_queue desc, t.tick_id desc limit 1) newest
where newest.tick_time > moment.time + '1 second'::pg_catalog.interval and not que.queue_external_ticker
union all
select 'rotation-time', queue_name, null, null, null,
       case when pg_catalog.isfinite(queue_switch_time)
            then pg_catalog.date_part('epoch'::pg_catalog.text, queue_switch_time - moment.time)::pg_catalog.int8 end
from moment cross join pgq.queue
where queue_switch_time > moment.time + '1 second'::pg_catalog.interval
union all
select 'missing-tick', que.queue_name, k.co_name, null, null, needed.tick
from known k
join pgq.queue que on que.queue_id = k.sub_queue
cross join lateral (values (k.sub_last_tick), (k.sub_next_tick)) needed (tick)
where needed.tick is not null
  and not exists (select from pgq.tick t where t.tick_queue = k.sub_queue and t.tick_id = needed.tick)
union all
select 'shared-id', que.queue_name, d.team, keeper.team, d.sub_id, d.sub_id
from doubled d
join keeper on keeper.sub_id = d.sub_id
join pgq.queue que on que.queue_id = d.sub_queue
where d.co_name = d.team and (d.sub_queue <> keeper.sub_queue or d.team <> keeper.team)
union all
select 'broken-queue', queue_name, null, needed.name, null, null
from pgq.queue
cross join lateral (
    select queue_tick_seq as name
    union all select queue_event_seq
    union all select queue_data_pfx || '_'::pg_catalog.text || part::pg_catalog.text
              from pg_catalog.generate_series(0, queue_ntables - 1) part) needed
where pg_catalog.to_regclass(pgq.quote_fqname(needed.name)) is null
union all
select 'broken-queue', queue_name, null, 'queue_cur_table', queue_cur_table, queue_ntables
from pgq.queue where queue_cur_table not between 0 and queue_ntables - 1
