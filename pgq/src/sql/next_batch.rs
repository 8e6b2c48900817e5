//! The statement that opens a consumer's next batch.

use crate::sql::batch::hidden_positions;

/// Makes the statement that opens a batch, out of the consumer's lock name, the description of the ticks after its position,
/// and the function that opens the batch.
///
/// $1 queue, $2 consumer, $3 least lag, $4 least number of events, $5 least interval, times in seconds; $6
/// whether to take all ticks up to the last one as one batch, or as many as it takes to reach $4 events; $7
/// whether the lock is held elsewhere; $8 whether the commit need not wait for the disk, which it does
/// otherwise, also where that is not the default. No row: another process has the lock.
///
/// The last three columns are how many event ids were taken between the batch's ticks, which tables row security hides
/// from this role, and the server's time, read under the lock.
///
/// The function gets its arguments from `guard`, so it cannot run before the lock is taken. With $6 the server searches
/// for the first tick that is $4 events or the given interval away; the interval is the distance to the last tick, so
/// there always is one. No interval leads to or from a tick at `infinity`, as ticks from elsewhere may be; then ticks are
/// taken one by one, and one that has no age is not waited for.
macro_rules! next_batch {
    ($lock:literal, $ticks:expr, $interval:expr, $consumer:literal, $turns:literal, $function:literal, $more:literal) => {
        concat!(
            "select batch_id, prev_tick_id, cur_tick_id, prev_tick_time, cur_tick_time, \
                 cur_tick_event_seq - prev_tick_event_seq, hidden, pg_catalog.clock_timestamp() from ( \
                 select $1::pg_catalog.text as queue, $2::pg_catalog.text as consumer, ",
            hidden_positions!(),
            " as hidden \
                 where case when $7 then true else pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(",
            $lock,
            ", 0)) end \
                     and case when $8 then pg_catalog.set_config('synchronous_commit', 'off', true) is not null \
                         when pg_catalog.current_setting('synchronous_commit') = 'off' \
                             then pg_catalog.set_config('synchronous_commit', 'on', true) is not null \
                         else true end",
            $turns,
            " offset 0) guard \
             cross join lateral ",
            $ticks,
            " ticks \
             cross join lateral ",
            $function,
            "(guard.queue, ",
            $consumer,
            ", case when ticks.is_following_finite then pg_catalog.make_interval(secs => $3) end, \
                 case when not $6 or ticks.behind is not null then $4 end, \
                 case when $6 then ticks.behind else ",
            $interval,
            " end",
            $more,
            ")"
        )
    };
}

/// The ticks after a consumer's position, by the function of the own schema, which visits one version of the position however
/// many an old snapshot keeps.
macro_rules! ticks_by_function {
    () => {
        "pgq._next_ticks(guard.queue, guard.consumer)"
    };
}

/// The same for the extension, and for a role without a right to the function. An index of the own schema has the newest
/// version of a position first. Rows that are looked up one by one are planned sooner than a join of them.
macro_rules! ticks_by_query {
    () => {
        "(select own.sub_queue is not null as is_registered, \
             case when pg_catalog.isfinite(own.since) and pg_catalog.isfinite(own.newest) then own.newest - own.since end as behind, \
             pg_catalog.isfinite(own.following) as is_following_finite \
         from (select) one left join ( \
             select sub_queue, (select tick_time from pgq.tick where tick_queue = sub_queue and tick_id = sub_last_tick) as since, \
                 (select tick_time from pgq.tick where tick_queue = sub_queue \
                     order by tick_queue desc, tick_id desc limit 1) as newest, \
                 (select tick_time from pgq.tick where tick_queue = sub_queue and tick_id > sub_last_tick \
                     order by tick_queue, tick_id limit 1) as following \
             from pgq.subscription \
             where sub_queue = (select queue_id from pgq.queue where queue_name = guard.queue) \
                 and sub_consumer = (select co_id from pgq.consumer where co_name = guard.consumer) \
                 order by sub_active desc limit 1) own on true)"
    };
}

/// The least interval, $5.
macro_rules! interval {
    () => {
        "pg_catalog.make_interval(secs => $5)"
    };
}

/// The same for the extension, unless a following tick is at `infinity`. It may be a tick behind those that are wanted.
macro_rules! finite_interval {
    () => {
        concat!(
            "case when $5 is not null and not exists ( \
                 select from (select sub_queue, sub_last_tick from pgq.subscription \
                     where sub_queue = (select queue_id from pgq.queue where queue_name = guard.queue) \
                         and sub_consumer = (select co_id from pgq.consumer where co_name = guard.consumer) \
                 order by sub_active desc limit 1) own \
                 join pgq.tick on tick_queue = sub_queue and tick_id >= sub_last_tick \
                 where not pg_catalog.isfinite(tick_time)) then ",
            interval!(),
            " end"
        )
    };
}

/// Makes the statement for a consumer without subconsumers.
macro_rules! next_single_batch {
    ($ticks:expr, $interval:expr) => {
        next_batch!(
            "pg_catalog.format('pgq %L %L', $1, $2)",
            $ticks,
            $interval,
            "guard.consumer",
            "",
            "pgq.next_batch_custom",
            ""
        )
    };
}

/// Makes the statement for a subconsumer. $9 subconsumer, $10 the time after which another one is dead, in seconds. Who may
/// take a batch over waits for those that are about to finish one: no row then, too. For a consumer that is not registered
/// the function gets a null, and refuses.
macro_rules! next_coop_batch {
    ($ticks:expr, $interval:expr) => {
        next_batch!(
            "pg_catalog.format('pgq %L %L', $1, $2 || '.' || $9)",
            $ticks,
            $interval,
            "case when ticks.is_registered then guard.consumer end, $9",
            " and pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended( \
                 pg_catalog.format('pgq finish %L %L', $1, $2), 0::pg_catalog.int8))",
            "pgq_coop.next_batch_custom",
            ", pg_catalog.make_interval(secs => $10)"
        )
    };
}

/// The statements that open the next batch.
#[derive(Clone, Copy)]
pub(crate) struct NextBatch {
    /// That of a consumer without subconsumers, with $1 to $8.
    pub(crate) single: &'static str,
    /// That of a subconsumer, with $1 to $10.
    pub(crate) cooperative: &'static str,
}

/// The statements for the own schema.
pub(crate) const BY_FUNCTION: NextBatch = NextBatch {
    single: next_single_batch!(ticks_by_function!(), interval!()),
    cooperative: next_coop_batch!(ticks_by_function!(), interval!()),
};

/// The statements for the extension, and for an own schema of an earlier release.
pub(crate) const BY_QUERY: NextBatch = NextBatch {
    single: next_single_batch!(ticks_by_query!(), finite_interval!()),
    cooperative: next_coop_batch!(ticks_by_query!(), finite_interval!()),
};

/// Returns whether the statements for the own schema can run. A role may have rights that were granted one by one, and not this
/// function's.
pub(crate) const HAS_FUNCTION: &str = "select coalesce(pg_catalog.has_function_privilege( \
         pg_catalog.to_regprocedure('pgq._next_ticks(pg_catalog.text,pg_catalog.text)')::pg_catalog.oid, \
         'execute'::pg_catalog.text), false)";
