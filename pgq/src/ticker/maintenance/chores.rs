//! Maintenance beside a ticker: each kind on a thread, a schedule and a connection of its own.

use std::fmt;
use std::time::{Duration, Instant};

use dbscript::{BoxError, Context, Round, Script};

use super::retries::retry_all;
use super::{Operation, maintain_some};
use crate::error::Error;
use crate::schema::{self, Trust};
use crate::ticker::settings::DB;
use crate::ticker::state::TickerState;

/// How often it is looked whether there is something to do.
const POLL: Duration = Duration::from_secs(1);
/// Between rounds that are farther apart than this no connection is kept.
const KEEP: Duration = Duration::from_secs(5);

/// A kind of maintenance that must not wait for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Gives events back whose retry time has come.
    Retry,
    /// Rotates tables.
    Rotation,
    /// Calls what queues ask for, which may take as long as it likes.
    Extra,
    /// Vacuums, which may take hours.
    Vacuum,
}

impl Chore {
    pub(crate) const ALL: [Chore; 4] = [Chore::Retry, Chore::Rotation, Chore::Extra, Chore::Vacuum];

    /// Returns which kind of maintenance an operation is.
    fn of(operation: &Operation) -> Chore {
        match operation {
            operation if operation.is_vacuum() => Chore::Vacuum,
            operation if operation.is_rotation() => Chore::Rotation,
            _ => Chore::Extra,
        }
    }
}

/// Names it in log lines.
impl fmt::Display for Chore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chore::Retry => "retry events",
            Chore::Rotation => "rotation",
            Chore::Extra => "maintenance",
            Chore::Vacuum => "vacuum",
        })
    }
}

/// Does one kind of maintenance whenever it is time, as long as the ticker beside it is the one at work.
pub(crate) struct ChoreLoop {
    chore: Chore,
    every: Duration,
    last: Option<Instant>,
    state: TickerState,
}

impl ChoreLoop {
    pub(crate) fn new(chore: Chore, every: Duration, state: TickerState) -> ChoreLoop {
        ChoreLoop { chore, every, last: None, state }
    }

    /// Returns how long to sleep between rounds.
    pub(crate) fn pace(&self) -> Duration {
        self.every.clamp(Duration::from_millis(20), POLL)
    }

    fn is_due(&self) -> bool {
        self.state.is_ticking() && self.last.is_none_or(|last| last.elapsed() >= self.every)
    }

    fn run(&self, cx: &mut Context) -> Result<(), Error> {
        let failed = |error| Error::failed(format!("no {}", self.chore)).caused_by(error);
        let mut db = cx.database(DB).map_err(failed)?;
        schema::require_trusted(&mut *db, Trust::Schema)?;
        let control = cx.control();
        if self.chore == Chore::Retry {
            let count = |returned| self.state.count(|status| status.retried += returned);
            return retry_all(&mut db, || !control.is_stopping(), count);
        }
        let is_mine = |operation: &Operation| Chore::of(operation) == self.chore && !control.is_stopping();
        let done = maintain_some(&mut db, is_mine)?;
        self.state.count(|status| status.maintained += done);
        Ok(())
    }
}

impl Script for ChoreLoop {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        if self.is_due() {
            self.last = Some(Instant::now());
            self.run(cx).map_err(|error| cx.locate(DB, error))?;
            if self.every > KEEP {
                cx.databases().close(DB);
            }
        }
        Ok(Round::Idle)
    }
}
