//! The ticker's statements. Numbers are all that is put into a text; names stay on the server.

use std::fmt::Write;

use crate::names::{bytes, hex};

/// How long a statement waits for somebody else's lock. What is locked for longer must not hold up the rest. Row security
/// that would hide queues is an error.
pub(crate) const PATIENCE: &str = "set local transaction isolation level read committed; set local lock_timeout = '200ms'; \
     set local row_security = off";

/// Whether this session may tick; nothing on a standby, where nobody can. The lock ends with the transaction,
/// which stays open. It has neither a snapshot nor an id, so it holds up neither vacuum nor rotation.
pub(crate) const TAKE_DUTY: &str = "begin isolation level read committed; \
     select case when not pg_catalog.pg_is_in_recovery() \
         then pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('pgq ticker', 0)) end";

/// What is committed, as text, and what time it is, in seconds.
pub(crate) const MOMENT: &str = "select pg_catalog.pg_current_snapshot()::pg_catalog.text, extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8";

/// Makes the statements that read every queue, with its rules and its last tick, times in seconds, and the name as
/// hexadecimal digits; no sequence: it cannot be read.
pub(crate) fn queues() -> String {
    format!("{PATIENCE}; {QUEUES}")
}

const QUEUES: &str = concat!(
    "select queue_id, ",
    hex!("queue_name"),
    ", queue_ticker_max_count, \
         extract(epoch from queue_ticker_max_lag)::pg_catalog.float8, \
         extract(epoch from queue_ticker_idle_period)::pg_catalog.float8, \
         newest.tick_event_seq, extract(epoch from newest.tick_time)::pg_catalog.float8, \
         case when pg_catalog.isfinite(newest.tick_time) and pg_catalog.isfinite(before.tick_time) \
             then extract(epoch from newest.tick_time - before.tick_time)::pg_catalog.float8 end, \
         case when pg_catalog.has_sequence_privilege(sequence, 'select, usage') then sequence end \
     from pgq.queue \
     cross join lateral (select pg_catalog.to_regclass(queue_event_seq)::pg_catalog.oid as sequence offset 0) sequence \
     left join lateral ( \
         select tick_id, tick_time, tick_event_seq from pgq.tick where tick_queue = queue_id \
         order by tick_queue desc, tick_id desc limit 1) newest on true \
     left join lateral ( \
         select tick_time from pgq.tick where tick_queue = queue_id and tick_id < newest.tick_id \
         order by tick_queue desc, tick_id desc limit 1) before on true \
     where not queue_external_ticker and not queue_ticker_paused"
);

/// The databases of the cluster that this role may connect to.
pub(crate) const DATABASES: &str = concat!(
    "select ",
    bytes!("datname::pg_catalog.text"),
    " from pg_catalog.pg_database \
     where datallowconn and not datistemplate and pg_catalog.has_database_privilege(oid, 'connect') order by datname"
);

/// $1 sequences. Those that another session has locked so that they cannot be read.
pub(crate) const LOCKED: &str = "select distinct relation from pg_catalog.pg_locks where granted and relation = any ($1) \
     and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) \
     and mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

/// Makes the statements that return how far sequences have come, as one text; nothing for one not used yet.
pub(crate) fn reached(sequences: &[u32]) -> String {
    format!(
        "{PATIENCE}; select pg_catalog.string_agg(coalesce(pg_catalog.pg_sequence_last_value(sequence)::pg_catalog.text, ''), ',' order by place) \
         from pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) with ordinality sequences (sequence, place)",
        listed(sequences)
    )
}

/// Whether this role may tick queues.
pub(crate) const MAY_TICK: &str =
    "select pg_catalog.has_function_privilege('pgq.ticker(pg_catalog.text)', 'execute')";

/// Two tickers that tick at once could get their ticks in another order than their snapshots, and events would
/// come twice. The schema in SQL takes care of that itself, the extension does not.
const ONE_AT_A_TIME: &str = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'), -1)";

/// Reads queues with their last ticks and how far their sequences have come, if that can be seen.
const ASKED: &str = "select queue_id, queue_name, queue_tick_seq, queue_event_seq, \
         2::pg_catalog.int8 * queue_ticker_max_count + 1000::pg_catalog.int8 as step, newest.*, ids.reached as tick_reached, \
         events.reached as event_reached \
     from pgq.queue \
     left join lateral ( \
         select tick_id, tick_time, tick_event_seq, \
             pg_catalog.txid_snapshot_xmax(tick_snapshot) as next_id \
         from pgq.tick where tick_queue = queue_id \
         order by tick_queue desc, tick_id desc limit 1) newest on true \
     cross join lateral (select pg_catalog.to_regclass(queue_tick_seq) as tick_seq, \
         pg_catalog.to_regclass(queue_event_seq) as event_seq offset 0) named \
     cross join lateral (select case when pg_catalog.has_sequence_privilege(tick_seq::pg_catalog.oid, 'select'::pg_catalog.text) \
         then coalesce(pg_catalog.pg_sequence_last_value(tick_seq), pgq.seq_getval(queue_tick_seq) - 1::pg_catalog.int8) end as reached) ids \
     cross join lateral (select case when pg_catalog.has_sequence_privilege(event_seq::pg_catalog.oid, 'select'::pg_catalog.text) \
         then coalesce(pg_catalog.pg_sequence_last_value(event_seq), pgq.seq_getval(queue_event_seq)) end as reached) events";

/// Judges queues: `obstacle` is why a tick would lose events or never be seen, `note` what is put right by one that is
/// forced. The schema in SQL moves its sequences on by itself. The extension would tick below its last tick, and makes no
/// tick before the sequence of events has passed that of the last one: so often it is forced, each time by a step.
const JUDGED: &str = "select queue_id, queue_name, case \
         when next_id > pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) then pg_catalog.format( \
             'the newest tick is of transaction id %s, and the server has not reached it', next_id) \
         when tick_reached < tick_id and is_extension then pg_catalog.format( \
             'sequence `%s` is at %s, behind tick %s', queue_tick_seq, tick_reached, tick_id) end as obstacle, case \
         when tick_time > pg_catalog.clock_timestamp() then 'its newest tick was in the future' \
         when event_reached < tick_event_seq then pg_catalog.format( \
             'sequence `%s` was at %s, behind event id %s', queue_event_seq, event_reached, tick_event_seq) \
         when tick_reached < tick_id then pg_catalog.format( \
             'sequence `%s` was at %s, behind tick %s', queue_tick_seq, tick_reached, tick_id) end as note, \
         case when is_extension then least(2000::pg_catalog.int8, greatest(1::pg_catalog.int8, \
             (tick_event_seq - event_reached) / step + 1::pg_catalog.int8)) else 1::pg_catalog.int8 end as steps \
     from asked, (select exists (select from pg_catalog.pg_extension where extname = 'pgq') as is_extension) kind";

/// Makes the statements that tick queues: three columns with id and tick of each, without a tick and with the reason for
/// one that must not be ticked, or with the tick -1 and what was put right; four with id, last tick, event id and
/// time in seconds of each, and one with the transaction's id. With each tick goes a notification, unless it is not
/// wanted. The commit does not wait for the disk.
pub(crate) fn tick(queues: &[i32], notify: bool) -> String {
    let notified = if notify {
        concat!(
            "case when tick is not null then pg_catalog.pg_notify(case when pg_catalog.octet_length(",
            bytes!("queue_name"),
            ") <= 59 then 'pgq:' || queue_name else 'pgq:' || pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(",
            bytes!("queue_name"),
            "), 'hex'), 40) end, tick::pg_catalog.text)::pg_catalog.text end"
        )
    } else {
        "null"
    };
    let queues = listed(queues);
    format!(
        "{PATIENCE}; set local synchronous_commit = off; {ONE_AT_A_TIME}; \
         with asked as materialized ({ASKED} \
             where queue_id in ({queues}) and not queue_external_ticker and not queue_ticker_paused), \
         judged as materialized ({JUDGED}), \
         ticked as materialized ( \
             select queue_id, queue_name, note, pgq.ticker(queue_name) as tick from ( \
                 select *, case when note is not null then (select pg_catalog.max(forced.tick) from ( \
                     select pgq.force_tick(queue_name) as tick \
                     from pg_catalog.generate_series(1::pg_catalog.int8, steps) offset 0) forced) end \
                 from judged where obstacle is null offset 0) forced) \
         select queue_id, tick, {notified} from ticked \
         union all select queue_id, null, obstacle from judged where obstacle is not null \
         union all select queue_id, -1, note from ticked where note is not null; \
         select queue, tick_id, tick_event_seq, extract(epoch from tick_time)::pg_catalog.float8 \
         from pg_catalog.unnest('{{{queues}}}'::pg_catalog.int4[]) queue cross join lateral ( \
             select tick_id, tick_event_seq, tick_time from pgq.tick where tick_queue = queue \
             order by tick_queue desc, tick_id desc limit 1) newest; \
         select pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text"
    )
}

fn listed<T: std::fmt::Display>(numbers: &[T]) -> String {
    numbers.iter().enumerate().fold(String::new(), |mut list, (at, number)| {
        // Writing to a string cannot fail.
        let _ = write!(list, "{}{number}", if at == 0 { "" } else { "," });
        list
    })
}
