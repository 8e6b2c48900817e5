//! One round of ticks: all due queues of a database in few transactions, and each queue in its own transaction where
//! some cannot be ticked.

use std::collections::{BTreeMap, BTreeSet};

use dbscript::{BoxError, Connection, Context, Control, StateClass, describe, printable};
use postgres::SimpleQueryMessage;
use postgres::error::SqlState;

use super::failing_queues::{FailingQueues, is_locked};
use super::health::Health;
use super::queue_cache::QueueCache;
use super::state::TickerState;
use crate::admin::integrity::ADVICE;
use crate::error::{Error, ErrorKind};
use crate::lock;
use crate::names::bytes;
use crate::schema;
use crate::sql::ticker::{PATIENCE, listed};

/// How many queues one transaction ticks.
const TOGETHER: usize = 100;
/// After so many locked queues in a row, the ticker checks whether all ticks wait for the same lock.
const LOCKED_IN_A_ROW: usize = 3;

/// Ticks the queues that are due, each by its own thresholds.
pub(crate) struct Ticking {
    state: TickerState,
    cache: QueueCache,
    failing: FailingQueues,
    health: Health,
    /// The queues that the last statement did not tick because a tick would lose events, each with the reason.
    obstacles: BTreeMap<i32, String>,
    notifications: Notifications,
}

/// Whether ticks are announced by notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notifications {
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

/// Makes the statements that tick queues. The commit does not wait for the disk. The rows are distinguished by their
/// number of columns:
///
/// | columns | row |
/// | --- | --- |
/// | 3 | queue id, tick, null |
/// | 3 | queue id, null, why the queue must not be ticked |
/// | 3 | queue id, -1, the problem that the tick has corrected |
/// | 4 | queue id, last tick, its event id, its time in seconds |
/// | 1 | the transaction's id |
fn tick_statement(queues: &[i32], notifications: Notifications) -> String {
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
    let queues = listed(queues);
    format!(
        "{PATIENCE}; set local synchronous_commit = off; {ONE_AT_A_TIME}; \
         with candidates as materialized ({CANDIDATES} \
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

impl Ticking {
    pub(crate) fn new(state: TickerState) -> Ticking {
        Ticking {
            state,
            cache: QueueCache::default(),
            failing: FailingQueues::default(),
            health: Health::default(),
            obstacles: BTreeMap::new(),
            notifications: Notifications::Sent,
        }
    }

    /// Clears the cache of queues; the next round reads them.
    pub(super) fn forget(&mut self) {
        self.cache.forget();
    }

    /// Returns the names of the queues that cannot be ticked.
    pub(crate) fn failing_queues(&self) -> Vec<String> {
        self.failing.names()
    }

    /// Ticks the due queues in the database of a name, and logs the queues that cannot be ticked.
    pub(crate) fn round(&mut self, cx: &mut Context, name: &str) -> Result<(), BoxError> {
        let mut db = cx.database(name)?;
        self.health.check(&mut db, || cx.databases().label(name));
        self.cache.update(&mut db).map_err(|error| cx.locate(name, read_failed(&mut db, error)))?;
        let due: Vec<i32> = self.cache.due().map(|queue| queue.id).collect();
        self.failing.retain(|id| due.contains(&id));
        self.notifications = Notifications::Sent;
        let result = self.tick_all(&mut db, &due, cx.control());
        self.failing.log(|| cx.databases().label(name));
        self.health.log_corrections(|| cx.databases().label(name));
        result.map_err(|error| cx.locate(name, error).into())
    }

    fn tick_all(&mut self, db: &mut Connection, due: &[i32], control: &Control) -> Result<(), Error> {
        let healthy: Vec<i32> = due.iter().copied().filter(|id| !self.failing.contains(*id)).collect();
        for part in healthy.chunks(TOGETHER) {
            if control.is_stopping() {
                return Ok(());
            }
            match self.tick(db, part, |error| is_full(error) || is_locked(error)) {
                Ok(()) => self.add_obstacles(),
                Err(error) if concerns_all(db, &error) => return Err(cannot_tick(error)),
                Err(_) => self.tick_one_by_one(db, part, control)?,
            }
        }
        self.retry_failing(db, control)
    }

    /// Retries queues that have failed before, up to the first that is still locked: each locked one delays the round.
    fn retry_failing(&mut self, db: &mut Connection, control: &Control) -> Result<(), Error> {
        for id in self.failing.due_for_retry() {
            if control.is_stopping() || self.tick_one(db, id)? == Ticked::Locked {
                break;
            }
        }
        Ok(())
    }

    /// Ticks each queue in a transaction of its own.
    fn tick_one_by_one(
        &mut self,
        db: &mut Connection,
        queues: &[i32],
        control: &Control,
    ) -> Result<(), Error> {
        let mut locked = 0;
        for (at, id) in queues.iter().enumerate() {
            if control.is_stopping() {
                break;
            }
            locked = if self.tick_one(db, *id)? == Ticked::Locked { locked + 1 } else { 0 };
            if locked == LOCKED_IN_A_ROW {
                return self.tick_rest(db, &queues[at + 1..], control);
            }
        }
        Ok(())
    }

    /// Ticks the queues after several locked ones in one transaction. If that waits for a lock too, all ticks wait for
    /// the same lock, and waiting for it once for each queue could take minutes.
    fn tick_rest(&mut self, db: &mut Connection, queues: &[i32], control: &Control) -> Result<(), Error> {
        if queues.is_empty() {
            return Ok(());
        }
        match self.try_tick(db, queues, Notifications::Omitted) {
            Ok(()) => {
                self.add_obstacles();
                Ok(())
            }
            Err(error) if is_locked(&error) => {
                let what = format!("the ticks of many queues wait for a lock{}", unentitled_holders(db));
                Err(Error::failed(what).caused_by(error))
            }
            Err(error) if concerns_all(db, &error) => Err(cannot_tick(error)),
            Err(_) => self.tick_one_by_one(db, queues, control),
        }
    }

    /// Records the queues that must not be ticked as failing.
    fn add_obstacles(&mut self) {
        for (id, obstacle) in std::mem::take(&mut self.obstacles) {
            self.failing.add(id, self.cache.name(id), Some(&SqlState::DATA_CORRUPTED), obstacle);
        }
    }

    /// Ticks one queue and records the result.
    fn tick_one(&mut self, db: &mut Connection, id: i32) -> Result<Ticked, Error> {
        match self.tick(db, &[id], is_full) {
            Ok(()) if self.obstacles.contains_key(&id) => self.add_obstacles(),
            Ok(()) => self.failing.remove(id),
            Err(error) if concerns_all(db, &error) => return Err(cannot_tick(error)),
            Err(error) => {
                let is_locked = is_locked(&error);
                let holders = if is_locked { unentitled_holders(db) } else { String::new() };
                let line = format!("{}{holders}", describe(&error));
                self.failing.add(id, self.cache.name(id), error.code(), line);
                return Ok(if is_locked { Ticked::Locked } else { Ticked::Failed });
            }
        }
        Ok(Ticked::Answered)
    }

    /// Ticks queues in one transaction. After an error that notifications may have caused, ticks them without, and
    /// omits notifications for the rest of the round if that helps.
    fn tick(
        &mut self,
        db: &mut Connection,
        queues: &[i32],
        may_be_notifying: impl Fn(&postgres::Error) -> bool,
    ) -> Result<(), postgres::Error> {
        match self.try_tick(db, queues, self.notifications) {
            Err(error) if self.notifications == Notifications::Sent && may_be_notifying(&error) => {
                let result = self.try_tick(db, queues, Notifications::Omitted);
                if result.is_ok() {
                    self.notifications = Notifications::Omitted;
                }
                result
            }
            result => result,
        }
    }

    /// Ticks queues in one transaction, as far as the server agrees that they are due.
    fn try_tick(
        &mut self,
        db: &mut Connection,
        queues: &[i32],
        notifications: Notifications,
    ) -> Result<(), postgres::Error> {
        self.obstacles.clear();
        let answer = db.simple_query(&tick_statement(queues, notifications))?;
        let mut not_ticked: BTreeSet<i32> = queues.iter().copied().collect();
        let mut ticks = 0;
        for message in &answer {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let number = row.get(0).and_then(|text| text.parse::<u64>().ok());
            match (row.len(), number) {
                (1, Some(transaction)) => self.cache.skip(transaction),
                (3, Some(id)) => {
                    let id = i32::try_from(id).unwrap_or_default();
                    match (row.get(1), row.get(2)) {
                        (None, Some(obstacle)) => {
                            self.obstacles.insert(id, format!("{}; {ADVICE}", printable(obstacle)));
                        }
                        (Some("-1"), note) => {
                            self.health.add_correction(self.cache.name(id), note.unwrap_or_default())
                        }
                        (None, None) => {}
                        _ => {
                            ticks += 1;
                            not_ticked.remove(&id);
                        }
                    }
                }
                (4, _) => self.cache.last_tick(row),
                _ => {}
            }
        }
        self.state.update(|status| status.ticks += ticks);
        not_ticked.into_iter().for_each(|id| self.cache.set_not_due(id));
        Ok(())
    }
}

/// The result of ticking one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ticked {
    /// The server has ticked the queue, or decided that no tick is due or possible.
    Answered,
    /// Another session has locked the queue.
    Locked,
    Failed,
}

/// Returns whether the server's queue of notifications is full, because a session does not read them.
fn is_full(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::PROGRAM_LIMIT_EXCEEDED)
}

/// Returns whether an error concerns more than one queue.
fn concerns_all(db: &mut Connection, error: &postgres::Error) -> bool {
    // Connection lost, read-only after a failover, out of resources, ended by an operator, system error.
    let is_general = |state| StateClass::Server.contains(state);
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => !may_tick(db),
        state => state.is_none_or(is_general),
    }
}

/// Returns whether this role may tick queues.
const MAY_TICK: &str = "select pg_catalog.has_function_privilege('pgq.ticker(pg_catalog.text)', 'execute')";

/// Returns whether this role may tick queues. A role that may not read the privilege may not.
fn may_tick(db: &mut Connection) -> bool {
    db.query_typed_one(MAY_TICK, &[]).is_ok_and(|row| row.get(0))
}

/// Returns, in brackets, which sessions hold a lock that ticks need although their roles may not tick.
fn unentitled_holders(db: &mut Connection) -> String {
    match lock::unentitled_holders_of_tick_locks(&mut **db) {
        Ok(holders) if !holders.is_empty() => format!(" ({})", lock::held_by("a lock of ticks", &holders)),
        _ => String::new(),
    }
}

fn cannot_tick(error: postgres::Error) -> Error {
    Error::failed("cannot tick").caused_by(error)
}

/// Makes the error of a failed read of queues. If PgQ is missing, the error says so.
fn read_failed(db: &mut Connection, error: postgres::Error) -> Error {
    let is_undefined = error.code().is_some_and(|state| StateClass::Undefined.contains(state));
    if is_undefined
        && let Err(missing) = schema::require(&mut **db)
        && missing.kind() == ErrorKind::Missing
    {
        return missing;
    }
    Error::failed("cannot find out which queues are due").caused_by(error)
}
