//! Maintenance beside a ticker: each task has its own thread, schedule and connection.

use std::fmt;
use std::time::{Duration, Instant};

use dbscript::{BoxError, Context, Round, Script};

use super::retries::retry_all;
use super::{MaintenanceOperation, maintain_some};
use crate::error::Error;
use crate::schema::{self, Trust};
use crate::ticker::settings::DB;
use crate::ticker::state::TickerState;

/// The longest time between two checks whether the task is due.
const POLL: Duration = Duration::from_secs(1);
/// If the task runs less often than this, its connection is closed in between.
const KEEP_CONNECTION: Duration = Duration::from_secs(5);

/// A kind of maintenance that must not wait for the other kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaintenanceTask {
    /// Puts retry events back into their queues.
    Retry,
    /// Rotates event tables.
    Rotation,
    /// Calls the functions that queues list in `queue_extra_maint`, which may take any time.
    Extra,
    /// Vacuums tables, which may take hours.
    Vacuum,
}

impl MaintenanceTask {
    pub(crate) const ALL: [MaintenanceTask; 4] =
        [MaintenanceTask::Retry, MaintenanceTask::Rotation, MaintenanceTask::Extra, MaintenanceTask::Vacuum];

    /// Returns the task that an operation belongs to.
    fn of(operation: &MaintenanceOperation) -> MaintenanceTask {
        match operation {
            operation if operation.is_vacuum() => MaintenanceTask::Vacuum,
            operation if operation.is_rotation() => MaintenanceTask::Rotation,
            _ => MaintenanceTask::Extra,
        }
    }
}

/// Names the task in log lines.
impl fmt::Display for MaintenanceTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MaintenanceTask::Retry => "retry events",
            MaintenanceTask::Rotation => "rotation",
            MaintenanceTask::Extra => "maintenance",
            MaintenanceTask::Vacuum => "vacuum",
        })
    }
}

/// Runs one task whenever it is due, while the ticker beside it is the leader.
pub(crate) struct MaintenanceLoop {
    task: MaintenanceTask,
    period: Duration,
    last: Option<Instant>,
    state: TickerState,
}

impl MaintenanceLoop {
    pub(crate) fn new(task: MaintenanceTask, period: Duration, state: TickerState) -> MaintenanceLoop {
        MaintenanceLoop { task, period, last: None, state }
    }

    /// Returns how long to sleep between rounds.
    pub(crate) fn pace(&self) -> Duration {
        self.period.clamp(Duration::from_millis(20), POLL)
    }

    fn is_due(&self) -> bool {
        self.state.is_ticking() && self.last.is_none_or(|last| last.elapsed() >= self.period)
    }

    fn run(&self, cx: &mut Context) -> Result<(), Error> {
        let failed = |error| Error::failed(format!("no {}", self.task)).caused_by(error);
        let mut db = cx.database(DB).map_err(failed)?;
        schema::require_trusted(&mut *db, Trust::Schema)?;
        let control = cx.control();
        if self.task == MaintenanceTask::Retry {
            let count = |returned| self.state.update(|status| status.retried += returned);
            return retry_all(&mut db, || !control.is_stopping(), count);
        }
        let is_wanted = |operation: &MaintenanceOperation| {
            MaintenanceTask::of(operation) == self.task && !control.is_stopping()
        };
        let done = maintain_some(&mut db, is_wanted)?;
        self.state.update(|status| status.maintained += done);
        Ok(())
    }
}

impl Script for MaintenanceLoop {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        if self.is_due() {
            self.last = Some(Instant::now());
            self.run(cx).map_err(|error| cx.locate(DB, error))?;
            if self.period > KEEP_CONNECTION {
                cx.databases().close(DB);
            }
        }
        Ok(Round::Idle)
    }
}
