-- Makes a tick for a queue if one is due. Returns the tick's id, or null. Fails when the queue does not exist, is
-- paused or has an external ticker, when the transaction's snapshot is older than the last tick, and when the last
-- tick has transaction ids that this server has not reached, as in a database that was moved.
--
-- Moves sequences that are behind the last tick past it. A last tick with a time in the future does not delay the tick.
--
-- With new events, a tick is due if there are `queue_ticker_max_count` of them, or if the last tick is
-- `queue_ticker_max_lag` old. Without new events, a tick is due if the age of the last tick is at least half of
-- `queue_ticker_max_lag`, and also either `queue_ticker_idle_period` or twice the interval between the last two ticks.
-- An idle queue therefore ticks more and more slowly.
create or replace function pgq.ticker(i_queue_name text)
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    que pgq.queue;
    obstacle text;
    reached bigint;
    last_tick record;
    previous_time timestamptz;
    new_events bigint;
    age interval;
    made bigint;
begin
    select q.* into que from pgq.queue q where q.queue_name = i_queue_name;
    obstacle := case
        when que.queue_id is null then 'no such queue'
        when que.queue_external_ticker then 'This queue has external tick source.'
        when que.queue_ticker_paused then 'Ticker has been paused for this queue'
        end;
    if obstacle is not null then
        raise exception '%', obstacle;
    end if;
    -- Every statement after the lock has a snapshot that is newer than the last tick's (DESIGN.md, D44).
    if not pg_catalog.pg_try_advisory_xact_lock(
        pg_catalog.hashtext('pgq ticker'::pg_catalog.text), que.queue_id % 256)
    then
        perform pgq._wait_for_tick(que.queue_id % 256);
    end if;
    reached := pgq.seq_getval(que.queue_event_seq);
    select t.tick_id, t.tick_time, t.tick_event_seq, txid_snapshot_xmax(t.tick_snapshot) as next_id
    into last_tick from pgq.tick t
    where t.tick_queue = que.queue_id
    order by t.tick_id desc limit 1;
    if found then
        -- A tick with lower ids would lose events (DESIGN.md, D62).
        if last_tick.next_id > txid_snapshot_xmax(txid_current_snapshot()) then
            raise exception 'cannot tick queue %: tick % has transaction id %, but the server is at %',
                i_queue_name, last_tick.tick_id, last_tick.next_id, txid_snapshot_xmax(txid_current_snapshot())
                using errcode = 'data_corrupted',
                      hint = 'The database was moved here; run "pgqadm CONFIG.ini repair".';
        end if;
        if reached < last_tick.tick_event_seq then
            raise warning 'Negative new_events?  old=% cur=%', last_tick.tick_event_seq, reached;
            -- The number of new events is unknown, so a tick is due.
            reached := setval(
                que.queue_event_seq::regclass,
                last_tick.tick_event_seq + que.queue_ticker_max_count * 2::bigint + 1000);
        end if;
        new_events := reached - last_tick.tick_event_seq;
        -- A tick that another program has made may be at `infinity` (DESIGN.md, D20).
        age := case
            when not pg_catalog.isfinite(last_tick.tick_time) then que.queue_ticker_max_lag
            when last_tick.tick_time > clock_timestamp()
                then greatest(que.queue_ticker_max_lag, que.queue_ticker_idle_period)
            else now() - last_tick.tick_time
            end;
        if new_events > 0 then
            if new_events < que.queue_ticker_max_count and age < que.queue_ticker_max_lag then
                return null;
            end if;
        else
            select t.tick_time into previous_time from pgq.tick t
            where t.tick_queue = que.queue_id and t.tick_id < last_tick.tick_id
            order by t.tick_id desc limit 1;
            if not (pg_catalog.isfinite(last_tick.tick_time) and pg_catalog.isfinite(previous_time)) then
                previous_time := null;
                last_tick.tick_time := null;
            end if;
            if age < greatest(que.queue_ticker_max_lag / 2,
                              least((last_tick.tick_time - previous_time) * 2, que.queue_ticker_idle_period))
                and previous_time is not null
            then
                return null;
            end if;
        end if;
    end if;
    -- Under an old snapshot, which does not see the last tick, inserting the last tick's id fails (DESIGN.md, D47).
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        insert into pgq.tick (tick_queue, tick_id, tick_event_seq)
        select que.queue_id, id, reached
        from generate_series(coalesce(last_tick.tick_id, 0) + 1,
                             pg_sequence_last_value(que.queue_tick_seq::regclass)) id
        on conflict do nothing;
        delete from pgq.tick where tick_queue = que.queue_id and tick_id > coalesce(last_tick.tick_id, 0);
    end if;
    -- A tick below the last one would never be seen.
    if coalesce(pg_sequence_last_value(que.queue_tick_seq::regclass), pgq.seq_getval(que.queue_tick_seq) - 1)
        < last_tick.tick_id
    then
        raise warning 'queue %: sequence % was behind tick %', i_queue_name, que.queue_tick_seq, last_tick.tick_id;
        perform setval(que.queue_tick_seq::regclass,
                       greatest(pgq.seq_getval(que.queue_tick_seq), last_tick.tick_id));
    end if;
    -- A snapshot does not list its own transaction, whose later events belong behind the tick (DESIGN.md, D44).
    insert into pgq.tick (tick_id, tick_queue, tick_event_seq, tick_snapshot)
    select nextval(que.queue_tick_seq::regclass), que.queue_id, reached,
           case
               when txid_visible_in_snapshot(txid_current_if_assigned(), now_visible) then format(
                   '%s:%s:%s', least(txid_snapshot_xmin(now_visible), txid_current()),
                   txid_snapshot_xmax(now_visible),
                   (select string_agg(id::text, ',' order by id) from (
                        select txid_snapshot_xip(now_visible) union all select txid_current()) running (id))
                   )::txid_snapshot
               else now_visible
           end
    from txid_current_snapshot() now_visible
    returning tick_id into made;
    return made;
end
$$;

-- Makes a tick with the given id and values, for a queue whose ticks come from elsewhere, and moves the
-- queue's sequences up to them. Returns the id. Fails when the queue does not exist, it is paused, it has a
-- ticker of its own, or a tick of it has transaction ids that this server has not reached.
create or replace function pgq.ticker(
    i_queue_name text, i_tick_id bigint, i_orig_timestamp timestamptz, i_event_seq bigint)
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    if exists (
        select from pgq.queue q
        cross join lateral (
            select t.tick_snapshot from pgq.tick t where t.tick_queue = q.queue_id
            order by t.tick_queue desc, t.tick_id desc limit 1) newest
        where q.queue_name = i_queue_name and q.queue_external_ticker
          and txid_snapshot_xmax(newest.tick_snapshot) > txid_snapshot_xmax(txid_current_snapshot()))
    then
        raise exception 'cannot tick queue %: its last tick has transaction ids that the server has not reached',
            i_queue_name
            using errcode = 'data_corrupted',
                  hint = 'The database was moved here; run "pgqadm CONFIG.ini repair".';
    end if;
    insert into pgq.tick (tick_id, tick_queue, tick_event_seq, tick_time)
    select i_tick_id, q.queue_id, i_event_seq, i_orig_timestamp from pgq.queue q
    where q.queue_name = i_queue_name and q.queue_external_ticker and not q.queue_ticker_paused;
    if not found then
        raise exception 'queue not found or ticker disabled: %', i_queue_name;
    end if;
    perform pgq.seq_setval(q.queue_event_seq, i_event_seq), pgq.seq_setval(q.queue_tick_seq, i_tick_id)
    from pgq.queue q where q.queue_name = i_queue_name;
    return i_tick_id;
end
$$;

-- Makes a tick for each queue that has one due, is not paused, and has no ticks from elsewhere. Returns the
-- number of ticks.
--
-- Most queues have no tick due most of the time, so one query selects the queues that may have one. A queue that another
-- transaction is ticking is skipped. A queue that was moved here from another server without `pgqadm repair` is skipped
-- with a warning.
create or replace function pgq.ticker()
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    due record;
    made bigint := 0;
begin
    for due in
        select queue_id, queue_name,
               txid_snapshot_xmax(newest.tick_snapshot) > txid_snapshot_xmax(txid_current_snapshot()) as is_moved
        from pgq.queue que
        left join lateral (
            select t.tick_id, t.tick_time, t.tick_event_seq, t.tick_snapshot from pgq.tick t where t.tick_queue = queue_id
            order by t.tick_queue desc, t.tick_id desc limit 1) newest on true
        left join lateral (
            select t.tick_time from pgq.tick t where t.tick_queue = queue_id and t.tick_id < newest.tick_id
            order by t.tick_queue desc, t.tick_id desc limit 1) before on true
        cross join lateral (
            select coalesce(pg_sequence_last_value(queue_event_seq::regclass), 1)
                       - newest.tick_event_seq as new_events,
                   case
                       when pg_catalog.isfinite(newest.tick_time) then now() - newest.tick_time
                       else queue_ticker_max_lag
                   end as age) since
        where not queue_external_ticker and not queue_ticker_paused
          and case
                  when newest.tick_time > clock_timestamp() then true
                  when new_events > 0 then
                      new_events >= queue_ticker_max_count or age >= queue_ticker_max_lag
                  when new_events = 0 and pg_catalog.isfinite(before.tick_time)
                      and pg_catalog.isfinite(newest.tick_time) then
                      age >= greatest(queue_ticker_max_lag / 2, least(
                          (newest.tick_time - before.tick_time) * 2, queue_ticker_idle_period))
                  else true
              end
        order by que.queue_name
    loop
        if due.is_moved then
            raise warning 'cannot tick queue %: its last tick has transaction ids that the server has not reached',
                due.queue_name using hint = 'The database was moved here; run "pgqadm CONFIG.ini repair".';
        elsif pg_try_advisory_xact_lock(hashtext('pgq ticker'), due.queue_id % 256) then
            made := made + (pgq.ticker(due.queue_name) is not null)::integer;
        end if;
    end loop;
    return made;
end
$$;
