-- Gives ticks and events of another server transaction ids that are valid on this server. Ticks and events keep their
-- order: processed events stay processed, and pending events stay pending (DESIGN.md, D71).
--
-- No server assigns ids below about 700 to transactions of users, so these ids are free. The ticks that matter are the
-- positions of consumers, the ends of batches, and the newest tick of another server. The first of these ticks gets id 4,
-- the next one 5, and so on, as a snapshot without running transactions. An event gets the id before that of the first of
-- these ticks that saw the event. An event that none of them saw gets the id of this transaction, so that the next new
-- tick delivers it.
--
-- With more than 600 such ticks, some of them, spread evenly, get the id of the tick before them. Events in between are
-- redelivered to consumers at such a tick. The newest tick always gets an id of its own.
--
-- An event is of another server if this server has not assigned its id yet, or if the transaction that wrote the event's
-- row also wrote events of other ids, as only a restore does. Any other event with a low id may have been inserted here,
-- so the event keeps its id and is delivered after all of these ticks. An old event is then delivered twice.
do $$
declare
    own constant pg_catalog.int8 := pg_catalog.txid_current();
    que record;
    newest pg_catalog.int8;
    moved pg_catalog.int8;
    known pg_catalog.txid_snapshot[];
    ids pg_catalog.int8[];
    part pg_catalog.text;
    changed pg_catalog.int8;
    has_moved pg_catalog.bool;
begin
    for que in select q.* from pgq.queue q order by q.queue_id loop
        newest := pg_catalog.txid_snapshot_xmax(t.tick_snapshot) from pgq.tick t
            where t.tick_queue = que.queue_id order by t.tick_id desc limit 1;
        moved := pg_catalog.max(t.tick_id) from pgq.tick t
            where t.tick_queue = que.queue_id and pg_catalog.txid_snapshot_xmax(t.tick_snapshot) > least(
                newest, pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()));
        select pg_catalog.array_agg(t.tick_snapshot order by t.tick_id), pg_catalog.array_agg(t.tick_id order by t.tick_id)
        into known, ids
        from (
            select u.tick_id, u.tick_snapshot, pg_catalog.row_number() over (order by u.tick_id) as place,
                   pg_catalog.count(*) over () as positions
            from pgq.tick u
            where u.tick_queue = que.queue_id and u.tick_id <= moved
              and (u.tick_id = moved or exists (
                  select from pgq.subscription s
                  where s.sub_queue = u.tick_queue and u.tick_id in (s.sub_last_tick, s.sub_next_tick)))) t
        where t.positions <= 600 or t.place = t.positions
           or (t.place * 599 + t.positions - 1) / t.positions
              <> ((t.place - 1) * 599 + t.positions - 1) / t.positions;
        has_moved := moved is not null;
        for part in
            select pgq.quote_fqname(que.queue_data_pfx || '_'::pg_catalog.text || number::pg_catalog.text)
            from pg_catalog.generate_series(0, que.queue_ntables - 1) number
        loop
            continue when pg_catalog.to_regclass(part) is null;
            execute pg_catalog.format(
                'update %s e set ev_txid = coalesce((select pg_catalog.min(place) + 2'
                ' from pg_catalog.unnest($1) with ordinality tick (snapshot, place)'
                ' where pg_catalog.txid_visible_in_snapshot(e.ev_txid, tick.snapshot)), $2)'
                ' where e.ev_txid >= pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) and e.ev_txid <> $2'
                ' or $3 and e.xmin in (select xmin from %s group by xmin having pg_catalog.min(ev_txid) <> pg_catalog.max(ev_txid))',
                part, part)
            using known, own, moved is not null;
            get diagnostics changed = row_count;
            has_moved := has_moved or changed > 0;
        end loop;
        update pgq.tick t
        set tick_snapshot = pg_catalog.format('%s:%s:', after.id, after.id)::pg_catalog.txid_snapshot
        from pgq.tick u
        cross join lateral (
            select 3 + pg_catalog.count(*) as id from pg_catalog.unnest(ids) mattering where mattering <= u.tick_id) after
        where u.tick_queue = que.queue_id and u.tick_id <= moved
          and t.tick_queue = u.tick_queue and t.tick_id = u.tick_id;
        -- Until all consumers are past this transaction, batches read both tables, and no table is truncated.
        update pgq.queue q set queue_switch_step1 = 3, queue_switch_step2 = own
        where q.queue_id = que.queue_id
          and (has_moved or greatest(q.queue_switch_step1, q.queue_switch_step2) > own);
    end loop;
end
$$;
