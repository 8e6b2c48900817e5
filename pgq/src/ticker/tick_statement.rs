//! The statements that tick queues.

use dbscript::Connection;
use postgres::SimpleQueryMessage;

use crate::names::bytes;
use crate::sql::ticker::{PATIENCE, listed};

/// Whether ticks are announced by notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notifications {
    Sent,
    /// Sending them fails, and ticks matter more.
    Omitted,
}

/// Serialises tickers. Without this lock, the order of two ticks could differ from the order of their snapshots, and
/// events would be delivered twice. The schema in SQL takes the lock itself, the extension does not.
const ONE_AT_A_TIME: &str = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'), -1)";

/// Reads queues with their last ticks and the values of their sequences, which are null where this role may not read
/// them.
const CANDIDATES: &str = "select queue_id, queue_name, queue_tick_seq, queue_event_seq, \
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

/// Examines queues. `obstacle` is the reason why a tick would lose events or never be seen. `note` is a problem that a
/// forced tick corrects. The schema in SQL advances its sequences by itself. The extension would tick below its last
/// tick, and makes no tick until the sequence of events has passed the last tick: it is forced `steps` times, and each
/// time advances the sequence.
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
     from candidates, (select exists (select from pg_catalog.pg_extension where extname = 'pgq') as is_extension) kind";

/// Makes the statements that tick queues. Those of `retried` are ticked although no new event id makes a tick due. The
/// commit does not wait for the disk. The rows are distinguished by their number of columns:
///
/// | columns | row |
/// | --- | --- |
/// | 3 | queue id, tick, null |
/// | 3 | queue id, null, why the queue must not be ticked |
/// | 3 | queue id, -1, the problem that the tick has corrected |
/// | 4 | queue id, last tick, its event id, its time in seconds |
/// | 1 | the transaction's id |
fn statements(tick: &str, last_ticks: &str) -> String {
    format!(
        "{PATIENCE}; set local synchronous_commit = off; {ONE_AT_A_TIME}; {tick}; {last_ticks}; \
         select pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text"
    )
}

/// Makes the statement that ticks queues; the arguments are arrays of integers in SQL.
fn tick(queues: &str, retried: &str, notifications: Notifications) -> String {
    let notified = match notifications {
        Notifications::Sent => concat!(
            "case when tick is not null then pg_catalog.pg_notify(case when pg_catalog.octet_length(",
            bytes!("queue_name"),
            ") <= 59 then 'pgq:' || queue_name else 'pgq:' || pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(",
            bytes!("queue_name"),
            "), 'hex'), 40) end, tick::pg_catalog.text)::pg_catalog.text end"
        ),
        Notifications::Omitted => "null",
    };
    format!(
        "with candidates as materialized ({CANDIDATES} \
             where queue_id = any ({queues}) and not queue_external_ticker and not queue_ticker_paused), \
         judged as materialized ({JUDGED}), \
         ticked as materialized ( \
             select queue_id, queue_name, note, case when tick is null and queue_id = any ({retried}) \
                 and pgq.force_tick(queue_name) is not null then pgq.ticker(queue_name) else tick end as tick from ( \
             select queue_id, queue_name, note, pgq.ticker(queue_name) as tick from ( \
                 select *, case when note is not null then (select pg_catalog.max(forced.tick) from ( \
                     select pgq.force_tick(queue_name) as tick \
                     from pg_catalog.generate_series(1::pg_catalog.int8, steps) offset 0) forced) end \
                 from judged where obstacle is null offset 0) forced offset 0) due) \
         select queue_id, tick, {notified} from ticked \
         union all select queue_id, null, obstacle from judged where obstacle is not null \
         union all select queue_id, -1, note from ticked where note is not null"
    )
}

/// Makes the statement that reads the last ticks of queues, an array of integers in SQL.
fn last_ticks(queues: &str) -> String {
    format!(
        "select queue, tick_id, tick_event_seq, extract(epoch from tick_time)::pg_catalog.float8 \
         from pg_catalog.unnest({queues}) queue cross join lateral ( \
             select tick_id, tick_event_seq, tick_time from pgq.tick where tick_queue = queue \
             order by tick_queue desc, tick_id desc limit 1) newest"
    )
}

/// Ticks queues in one transaction, which is one round trip.
pub(super) fn run(
    db: &mut Connection,
    queues: &[i32],
    retried: &[i32],
    notifications: Notifications,
) -> Result<Vec<SimpleQueryMessage>, postgres::Error> {
    let (queues, retried) = (array(queues), array(retried));
    if notifications == Notifications::Sent
        && let Some([tick, last_ticks]) = prepared(db)?
    {
        let tick = format!("execute {tick} ({queues}, {retried})");
        let answer = db.simple_query(&statements(&tick, &format!("execute {last_ticks} ({queues})")));
        if !answer.as_ref().is_err_and(|error| db.statements().has_lost(error)) {
            return answer;
        }
    }
    db.simple_query(&statements(&tick(&queues, &retried, notifications), &last_ticks(&queues)))
}

/// Returns the names of the prepared statements, if the session keeps them.
fn prepared(db: &mut Connection) -> Result<Option<[String; 2]>, postgres::Error> {
    let tick =
        db.named("tick", "pg_catalog.int4[], pg_catalog.int4[]", || tick("$1", "$2", Notifications::Sent))?;
    let last_ticks = db.named("last ticks", "pg_catalog.int4[]", || last_ticks("$1"))?;
    Ok(tick.zip(last_ticks).map(|(tick, last_ticks)| [tick, last_ticks]))
}

fn array(queues: &[i32]) -> String {
    format!("'{{{}}}'::pg_catalog.int4[]", listed(queues))
}
