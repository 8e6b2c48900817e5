-- Does the next step of the turns of the tables of keys, if one is due. Returns 1 if it did a step, else 0. The ticker of
-- this project calls it with the other maintenance; any other scheduler may call it, each time in a transaction of its own.
--
-- A step waits until all transactions have ended that may have seen the turn before the last step:
--
-- 1. The table of new keys is in use for ten minutes, and one is free: that one becomes current. New keys are written to
--    both, so that they meet those of transactions that have not seen the step.
-- 2. New keys are not written to the previous table any more.
-- 3. All keys of a table other than the current one are over: the table is not read any more.
-- 4. That table is truncated and free.
create or replace function pgq.maint_event_keys()
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off
as $$
declare
    turn pgq.event_key_turn;
    before pgq.event_key_turn;
    had_id constant boolean := txid_current_if_assigned() is not null;
    free integer;
    is_over boolean;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the turns of the tables of keys require isolation level read committed'
            using errcode = 'invalid_transaction_state';
    end if;
    -- The turn was committed before this transaction gets its id.
    select * into before from pgq.event_key_turn;
    perform txid_current();
    select * into turn from pgq.event_key_turn for update skip locked;
    if not found or turn is distinct from before then
        return 0;
    end if;
    if turn.turn_settles is null then
        -- All transactions that have read an earlier turn got their ids before this one, if it got its id here.
        if not had_id then
            update pgq.event_key_turn set turn_settles = txid_current();
        end if;
        return (not had_id)::integer;
    end if;
    -- An id that this server has not reached is of another one, as after a restore: none of its transactions is left.
    if txid_snapshot_xmin(txid_current_snapshot()) <= turn.turn_settles
        and turn.turn_settles < txid_snapshot_xmax(txid_current_snapshot())
    then
        return 0;
    end if;

    if turn.turn_previous is not null then
        turn.turn_previous := null;
    elsif turn.turn_retired is not null then
        begin
            execute format('lock table pgq.event_key_%s in access exclusive mode nowait', turn.turn_retired);
        exception when lock_not_available then
            return 0;
        end;
        execute format('truncate pgq.event_key_%s', turn.turn_retired);
        turn.turn_retired := null;
    else
        for part in 0 .. 2 loop
            if part = any (turn.turn_live) and part <> turn.turn_current then
                execute format('select coalesce((select key_until from pgq.event_key_%s order by key_until desc limit 1)'
                               ' <= clock_timestamp(), true)', part) into is_over;
                if is_over then
                    turn.turn_retired := part;
                    turn.turn_live := array_remove(turn.turn_live, part);
                    exit;
                end if;
            end if;
        end loop;
        if turn.turn_retired is null then
            free := (select min(part) from generate_series(0, 2) part where part <> all (turn.turn_live));
            execute format('select exists (select from pgq.event_key_%s)', turn.turn_current) into is_over;
            if free is null or not is_over
                or turn.turn_since between clock_timestamp() - interval '10 minutes' and clock_timestamp()
            then
                return 0;
            end if;
            turn.turn_previous := turn.turn_current;
            turn.turn_current := free;
            turn.turn_live := turn.turn_live || free;
            turn.turn_since := clock_timestamp();
        end if;
    end if;
    update pgq.event_key_turn
    set turn_current = turn.turn_current, turn_previous = turn.turn_previous, turn_live = turn.turn_live,
        turn_retired = turn.turn_retired, turn_since = turn.turn_since, turn_settles = null;
    return 1;
end
$$;
