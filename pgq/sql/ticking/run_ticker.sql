-- Ticks all queues for a while, and does their maintenance: a ticker without a program, for a scheduler such as pg_cron
-- that calls it again and again.
--
-- `duration` is the time between two calls, from more than 0 to one day. The procedure ends one or two pauses before that
-- time is over, and does at least one round. `pause` is the time between two rounds, from 10 milliseconds to
-- 10 seconds.
--
-- - A round ticks the queues that are due, in a transaction of its own.
-- - Once a second: due retry events are put back into their queues, and due delayed events are inserted.
-- - At the start and every 30 seconds: the operations of pgq.maint_operations, except vacuum, and pgq.maint_event_keys, each
--   in a transaction of its own. A function in `queue_extra_maint` that runs for long delays the ticks.
--
-- While another ticker is active, be it this procedure or a program, the procedure stands by and checks once a second.
-- On a standby of the server it returns at once. A queue that cannot be ticked, and an operation that fails, raise a
-- warning, once in each call, and do not stop the others.
--
-- The procedure commits, so it must be called by itself: outside of a transaction block, in a query string without
-- another statement. `statement_timeout` applies to the whole call. The role needs the rights of `pgq_admin`; let it be the
-- owner of schema `pgq` and no superuser.
--
-- Errors: a time is out of range; the call is in a transaction block.
create or replace procedure pgq.run_ticker(
    duration interval default '1 minute', pause interval default '200 milliseconds')
language plpgsql
as $$
declare
    -- The procedure commits, so it has no path of its own. Types are named in full, and the path is set in each
    -- transaction before the first operator.
    started constant pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    retried_at pg_catalog.timestamptz;
    maintained_at pg_catalog.timestamptz;
    reset_at pg_catalog.timestamptz;
    is_active pg_catalog.bool;
    stood_by pg_catalog.bool;
    again pg_catalog.bool;
    -- Queues with retry events that need a tick.
    retried pg_catalog.int4[] := '{}';
    -- Queues that failed within the last second.
    failing pg_catalog.int4[] := '{}';
    failing_retries pg_catalog.int4[] := '{}';
    delayed pg_catalog.int4 := 0;
    queues pg_catalog.int4[];
    counts pg_catalog.int4[];
    names pg_catalog.text[];
    arguments pg_catalog.text[];
    problems pg_catalog.text[] := '{}';
    problem pg_catalog.text;
    warned pg_catalog.text[] := '{}';
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    if coalesce(duration <= '0' or duration > '1 day', true) then
        raise exception 'duration `%` must be above 0 and at most 1 day', duration
            using errcode = 'invalid_parameter_value';
    elsif coalesce(pause < '10 milliseconds' or pause > '10 seconds', true) then
        raise exception 'pause `%` must be from 10 milliseconds to 10 seconds', pause
            using errcode = 'invalid_parameter_value';
    elsif pg_catalog.pg_is_in_recovery() then
        raise notice 'the server is a standby, nothing is ticked';
        return;
    end if;
    loop
        delayed := 0;
        commit;
        set transaction isolation level read committed, read write;
        perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        is_active := pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('pgq ticker', 0)) or not pgq._ticks_elsewhere();
        if is_active then
            if coalesce(pg_catalog.clock_timestamp() not between reset_at and reset_at + '1 second', true) then
                reset_at := pg_catalog.clock_timestamp();
                failing := '{}';
                failing_retries := '{}';
            end if;
            -- A consumer that acts on a tick commits later (DESIGN.md, D63).
            perform pg_catalog.set_config('synchronous_commit', 'off', true);
            begin
                select pg_catalog.array_agg(failed_queue), pg_catalog.array_agg(failure) into queues, names
                from pgq._tick_due_queues(retried, failing);
                retried := '{}';
            exception when others then
                queues := null;
                names := array[pg_catalog.format('cannot tick: %s', sqlerrm)];
            end;
            failing := failing || queues;
            problems := problems || names;
            commit;
            set transaction isolation level read committed, read write;
            perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        elsif stood_by is null then
            raise notice 'another ticker is active, standing by';
            stood_by := true;
        end if;

        if is_active and coalesce(pg_catalog.clock_timestamp() not between retried_at and retried_at + '1 second', true)
            and pg_catalog.clock_timestamp() between started and started + duration
        then
            -- Outside of a block that catches errors: a mark of a subtransaction does not count (DESIGN.md, D126).
            select pg_catalog.array_agg(retried_queue), pg_catalog.array_agg(returned), pg_catalog.array_agg(failure)
            into queues, counts, names
            from pgq._return_due_retries(failing_retries);
            commit;
            set transaction isolation level read committed, read write;
            perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
            delayed := pgq.maint_delayed_events();
            commit;
            set transaction isolation level read committed, read write;
            perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
            problems := problems || names;
            for i in 1 .. coalesce(pg_catalog.cardinality(queues), 0) loop
                if counts[i] > 0 then
                    retried := retried || queues[i];
                elsif names[i] is not null then
                    failing_retries := failing_retries || queues[i];
                end if;
            end loop;
            -- After a round with events the next one follows at once, and puts more of them back.
            retried_at := case when retried = '{}' and delayed = 0 then pg_catalog.clock_timestamp() end;
        end if;

        if is_active and coalesce(pg_catalog.clock_timestamp() not between maintained_at and maintained_at + '30 seconds', true)
        then
            maintained_at := pg_catalog.clock_timestamp();
            begin
                select pg_catalog.array_agg(func_name), pg_catalog.array_agg(func_arg) into names, arguments
                from pgq._maintenance_operations();
            exception when others then
                names := null;
                problems := problems || pg_catalog.format('cannot read the due maintenance operations: %s', sqlerrm);
            end;
            commit;
            set transaction isolation level read committed, read write;
            perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
            for i in 1 .. coalesce(pg_catalog.cardinality(names), 0) loop
                again := true;
                while again and pg_catalog.clock_timestamp() between started and started + duration loop
                    begin
                        again := pgq._maintain(names[i], arguments[i]);
                    exception when others then
                        again := false;
                        problems := problems
                            || pg_catalog.format('maintenance `%s` of `%s` failed: %s', names[i], arguments[i], sqlerrm);
                    end;
                    commit;
                    set transaction isolation level read committed, read write;
                    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
                end loop;
            end loop;
        end if;

        foreach problem in array problems loop
            if problem is not null and problem <> all (warned) then
                raise warning '%', problem;
                warned := warned || problem;
            end if;
        end loop;
        problems := '{}';

        if retried = '{}' and delayed = 0 then
            -- The next round would end too late, or the clock was put back.
            exit when pg_catalog.clock_timestamp() not between started and started + duration - 2 * pause;
            commit;
            set transaction isolation level read committed, read write;
            perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
            -- The lock tells other tickers that this one is active.
            if is_active then
                perform pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('pgq ticker', 0));
            end if;
            perform pg_catalog.pg_sleep(extract(epoch from least(
                case when is_active then pause else greatest(pause, '1 second') end,
                started + duration - pg_catalog.clock_timestamp())));
        end if;
    end loop;
end
$$;
