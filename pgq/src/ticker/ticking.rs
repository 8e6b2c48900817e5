//! One round of ticks: all due queues of a database in few transactions, and each queue in its own transaction where
//! some cannot be ticked.

use std::collections::{BTreeMap, BTreeSet};

use dbscript::{BoxError, Connection, Context, Control, StateClass, describe, printable};
use postgres::SimpleQueryMessage;
use postgres::error::SqlState;

use super::failing_queues::{FailingQueues, is_locked};
use super::health::Health;
use super::queue_cache::QueueCache;
use super::retry_watch::RetryWatch;
use super::state::TickerState;
use super::tick_statement::{self, Notifications};
use crate::admin::integrity::ADVICE;
use crate::error::{Error, ErrorKind};
use crate::lock;
use crate::schema;

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
    retries: RetryWatch,
    /// The queues that need a tick for retry events, of which no event id shows that they are new.
    retried: BTreeSet<i32>,
    /// The queues that the last statement did not tick because a tick would lose events, each with the reason.
    obstacles: BTreeMap<i32, String>,
    notifications: Notifications,
}

impl Ticking {
    pub(crate) fn new(state: TickerState) -> Ticking {
        Ticking {
            state,
            cache: QueueCache::default(),
            failing: FailingQueues::default(),
            health: Health::default(),
            retries: RetryWatch::default(),
            retried: BTreeSet::new(),
            obstacles: BTreeMap::new(),
            notifications: Notifications::Sent,
        }
    }

    /// Clears what was read; the next round reads it again.
    pub(super) fn forget(&mut self) {
        self.cache.forget();
        self.retries = RetryWatch::default();
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
        let due = self.due(&mut db);
        self.failing.retain(|id| due.contains(&id));
        self.notifications = Notifications::Sent;
        let result = self.tick_all(&mut db, &due, cx.control());
        self.failing.log(|| cx.databases().label(name));
        self.health.log_corrections(|| cx.databases().label(name));
        result.map_err(|error| cx.locate(name, error).into())
    }

    /// Returns the queues to tick: those that are due, and those that have retry events. Wakes the retries if one is due.
    fn due(&mut self, db: &mut Connection) -> Vec<i32> {
        let (changed, now) = (self.cache.has_changed(), self.cache.now());
        if self.retries.is_due(db, changed, now) {
            self.state.retries_due();
        }
        self.retried.extend(self.state.take_retried());
        self.retried.retain(|id| self.cache.contains(*id));
        let due: BTreeSet<i32> = self.cache.due().map(|queue| queue.id).collect();
        due.union(&self.retried).copied().collect()
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
        let retried: Vec<i32> = self.retried.iter().copied().filter(|id| queues.contains(id)).collect();
        let answer = tick_statement::run(db, queues, &retried, notifications)?;
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
        self.retried.retain(|id| !queues.contains(id));
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
