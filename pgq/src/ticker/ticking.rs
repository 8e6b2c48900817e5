//! Ticking the queues of one database: together where possible, one by one where some cannot be ticked.

use crate::error::ErrorKind;
use std::collections::{BTreeMap, BTreeSet};

use dbscript::{BoxError, Connection, Context, Control, plain};
use postgres::SimpleQueryMessage;
use postgres::error::SqlState;

use super::failing::{Failing, is_locked};
use super::health::Health;
use super::watch::Watch;
use crate::admin::integrity::ADVICE;
use crate::error::Error;
use crate::ticker::TickerState;
use crate::{lock, schema, sql};

/// How many queues are ticked in one transaction.
const TOGETHER: usize = 100;
/// So many queues in a row that are locked may all wait for the same.
const IN_A_ROW: usize = 3;

/// Ticks the queues that are due, each by its own rules.
pub(crate) struct Ticking {
    state: TickerState,
    watch: Watch,
    failing: Failing,
    health: Health,
    /// Why queues must not be ticked, as the last statement has told.
    obstacles: BTreeMap<i32, String>,
    /// Whether notifications go with the ticks of this round.
    notifies: bool,
}

impl Ticking {
    pub(crate) fn new(state: TickerState) -> Ticking {
        Ticking {
            state,
            watch: Watch::default(),
            failing: Failing::default(),
            health: Health::default(),
            obstacles: BTreeMap::new(),
            notifies: true,
        }
    }

    /// Forgets what is known of the queues; the next round reads it anew.
    pub(super) fn forget(&mut self) {
        self.watch.forget();
    }

    /// Returns the names of the queues that cannot be ticked.
    pub(crate) fn failing(&self) -> Vec<String> {
        self.failing.names()
    }

    /// Ticks what is due in the database of a name. Queues that cannot be ticked are logged.
    pub(crate) fn round(&mut self, cx: &mut Context, name: &str) -> Result<(), BoxError> {
        let mut db = cx.database(name)?;
        self.health.look(&mut db, || cx.databases().label(name));
        self.watch.look(&mut db).map_err(|error| cx.locate(name, unknown(&mut db, error)))?;
        let due: Vec<i32> = self.watch.due().map(|queue| queue.id).collect();
        self.failing.retain(|id| due.contains(&id));
        self.notifies = true;
        let result = self.tick_all(&mut db, &due, cx.control());
        self.failing.tell(|| cx.databases().label(name));
        self.health.tell(|| cx.databases().label(name));
        result.map_err(|error| cx.locate(name, error).into())
    }

    fn tick_all(&mut self, db: &mut Connection, due: &[i32], control: &Control) -> Result<(), Error> {
        let well: Vec<i32> = due.iter().copied().filter(|id| self.failing.is_well(*id)).collect();
        for part in well.chunks(TOGETHER) {
            if control.is_stopping() {
                return Ok(());
            }
            match self.tick(db, part, |error| is_full(error) || is_locked(error)) {
                Ok(()) => self.add_obstacles(),
                Err(error) if concerns_all(db, &error) => return Err(cannot_tick(error)),
                Err(_) => self.one_by_one(db, part, control)?,
            }
        }
        self.suspects(db, control)
    }

    /// Tries those that have failed before. Who waits for one that is still locked must not wait for more.
    fn suspects(&mut self, db: &mut Connection, control: &Control) -> Result<(), Error> {
        for id in self.failing.suspects() {
            if control.is_stopping() || self.is_locked(db, id)? {
                break;
            }
        }
        Ok(())
    }

    /// Ticks each queue in a transaction of its own.
    fn one_by_one(&mut self, db: &mut Connection, queues: &[i32], control: &Control) -> Result<(), Error> {
        let mut locked = 0;
        for (at, id) in queues.iter().enumerate() {
            if control.is_stopping() {
                break;
            }
            locked = if self.is_locked(db, *id)? { locked + 1 } else { 0 };
            if locked == IN_A_ROW {
                return self.others(db, &queues[at + 1..], control);
            }
        }
        Ok(())
    }

    /// Ticks those that come after several locked ones. When they wait as well, it is for something that all
    /// need, and waiting on queue by queue could take minutes.
    fn others(&mut self, db: &mut Connection, queues: &[i32], control: &Control) -> Result<(), Error> {
        if queues.is_empty() {
            return Ok(());
        }
        let notifies = std::mem::take(&mut self.notifies);
        let result = self.try_tick(db, queues);
        self.notifies = notifies;
        match result {
            Ok(()) => {
                self.add_obstacles();
                Ok(())
            }
            Err(error) if is_locked(&error) => {
                let what = format!("the ticks of many queues wait for a lock{}", strangers(db));
                Err(Error::failed(what).caused_by(error))
            }
            Err(error) if concerns_all(db, &error) => Err(cannot_tick(error)),
            Err(_) => self.one_by_one(db, queues, control),
        }
    }

    /// Takes note of queues that must not be ticked.
    fn add_obstacles(&mut self) {
        for (id, obstacle) in std::mem::take(&mut self.obstacles) {
            self.failing.add(id, self.watch.name(id), Some(&SqlState::DATA_CORRUPTED), obstacle);
        }
    }

    /// Ticks one queue and takes note of how that went; tells whether it is locked.
    fn is_locked(&mut self, db: &mut Connection, id: i32) -> Result<bool, Error> {
        match self.tick(db, &[id], is_full) {
            Ok(()) if self.obstacles.contains_key(&id) => self.add_obstacles(),
            Ok(()) => self.failing.remove(id),
            Err(error) if concerns_all(db, &error) => return Err(cannot_tick(error)),
            Err(error) => {
                let is_locked = is_locked(&error);
                let who = if is_locked { strangers(db) } else { String::new() };
                let line = format!("{}{who}", dbscript::describe(&error));
                self.failing.add(id, self.watch.name(id), error.code(), line);
                return Ok(is_locked);
            }
        }
        Ok(false)
    }

    /// Ticks queues in one transaction. After an error that notifying may be the reason of, it goes without, for
    /// the rest of the round if that helps: ticks are worth more than notifications.
    fn tick(
        &mut self,
        db: &mut Connection,
        queues: &[i32],
        may_be_notifying: impl Fn(&postgres::Error) -> bool,
    ) -> Result<(), postgres::Error> {
        match self.try_tick(db, queues) {
            Err(error) if self.notifies && may_be_notifying(&error) => {
                self.notifies = false;
                let result = self.try_tick(db, queues);
                self.notifies = result.is_err();
                result
            }
            result => result,
        }
    }

    /// Ticks queues in one transaction, as far as the server agrees that they are due.
    fn try_tick(&mut self, db: &mut Connection, queues: &[i32]) -> Result<(), postgres::Error> {
        self.obstacles.clear();
        let answer = db.simple_query(&sql::ticker::tick(queues, self.notifies))?;
        let mut silent: BTreeSet<i32> = queues.iter().copied().collect();
        let mut ticks = 0;
        for message in &answer {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let number = row.get(0).and_then(|text| text.parse::<u64>().ok());
            match (row.len(), number) {
                (1, Some(transaction)) => self.watch.skip(transaction),
                (3, Some(id)) => {
                    let id = i32::try_from(id).unwrap_or_default();
                    match (row.get(1), row.get(2)) {
                        (None, Some(obstacle)) => {
                            self.obstacles.insert(id, format!("{}; {ADVICE}", plain(obstacle)));
                        }
                        (Some("-1"), note) => self.health.note(self.watch.name(id), note.unwrap_or_default()),
                        (None, None) => {}
                        _ => {
                            ticks += 1;
                            silent.remove(&id);
                        }
                    }
                }
                (4, _) => self.watch.last_tick(row),
                _ => {}
            }
        }
        self.state.count(|status| status.ticks += ticks);
        silent.into_iter().for_each(|id| self.watch.hold_off(id));
        Ok(())
    }
}

/// Tells whether the server's queue of notifications is full, since somebody does not read it.
fn is_full(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::PROGRAM_LIMIT_EXCEEDED)
}

/// Tells whether an error is none of a single queue.
fn concerns_all(db: &mut Connection, error: &postgres::Error) -> bool {
    // Read-only after a failover, out of resources, an operator's order, a broken system.
    let states = ["08", "25", "53", "57P", "58"];
    let is_general = |state: &SqlState| states.iter().any(|class| state.code().starts_with(class));
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => !may_tick(db),
        state => state.is_none_or(is_general),
    }
}

/// Tells whether this role may tick at all.
fn may_tick(db: &mut Connection) -> bool {
    // Who may not even ask may not.
    db.query_typed_one(sql::ticker::MAY_TICK, &[]).is_ok_and(|row| row.get(0))
}

/// Names those that have a lock which ticks need and may not tick, if there are any.
fn strangers(db: &mut Connection) -> String {
    match lock::strangers_to_ticks(&mut **db) {
        Ok(holders) if !holders.is_empty() => format!(" ({})", lock::told("a lock of ticks", &holders)),
        _ => String::new(),
    }
}

fn cannot_tick(error: postgres::Error) -> Error {
    Error::failed("cannot tick").caused_by(error)
}

/// Says what is missing, when it is PgQ.
fn unknown(db: &mut Connection, error: postgres::Error) -> Error {
    let is_undefined =
        error.code().is_some_and(|state| ["42", "3F"].iter().any(|class| state.code().starts_with(class)));
    if is_undefined
        && let Err(missing) = schema::require(&mut **db)
        && missing.kind() == ErrorKind::Missing
    {
        return missing;
    }
    Error::failed("cannot find out which queues are due").caused_by(error)
}
