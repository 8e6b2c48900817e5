//! Maintenance beside a ticker: each task has its own thread, schedule and connection.

use std::fmt;
use std::time::{Duration, Instant};

use dbscript::{BoxError, Context, Round, Script};

use super::due_events::{Failing, deliver_all};
use super::{MaintenanceOperation, event_keys, maintain_some};
use crate::error::Error;
use crate::schema::{self, Trust};
use crate::ticker::settings::DB;
use crate::ticker::state::TickerState;

/// The longest time between two checks whether the task is due.
const POLL: Duration = Duration::from_secs(1);
/// A connection that the task has not used for so long is closed.
const KEEP_CONNECTION: Duration = Duration::from_secs(5);

/// A kind of maintenance that must not wait for the other kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaintenanceTask {
    /// Puts retry events back into their queues, inserts delayed events and those of schedules, and removes keys of events once.
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
            MaintenanceTask::Retry => "retry events or delayed events",
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
    /// When the task last ran.
    last: Option<Instant>,
    /// When the task last ran because its period was over.
    last_period: Option<Instant>,
    is_connected: bool,
    /// What was due and could not be inserted in this period.
    failing: Failing,
    state: TickerState,
}

impl MaintenanceLoop {
    pub(crate) fn new(task: MaintenanceTask, period: Duration, state: TickerState) -> MaintenanceLoop {
        MaintenanceLoop {
            task,
            period,
            last: None,
            last_period: None,
            is_connected: false,
            failing: Failing::default(),
            state,
        }
    }

    /// Returns how long to sleep between rounds.
    pub(crate) fn pace(&self) -> Duration {
        self.period.clamp(Duration::from_millis(20), POLL)
    }

    /// Returns whether the task is to run: its period is over, or events are due.
    fn is_due(&mut self) -> bool {
        if !self.state.is_ticking() {
            return false;
        }
        if self.last_period.is_none_or(|last| last.elapsed() >= self.period) {
            self.last_period = Some(Instant::now());
            self.failing.clear();
            return true;
        }
        self.task == MaintenanceTask::Retry && self.state.take_retries_due()
    }

    /// Returns whether the connection is to be closed: only due events may need it again soon.
    fn is_unused(&self) -> bool {
        self.task != MaintenanceTask::Retry || self.last.is_none_or(|last| last.elapsed() >= KEEP_CONNECTION)
    }

    fn run(&mut self, cx: &mut Context) -> Result<(), Error> {
        let failed = |error| Error::failed(format!("no {}", self.task)).caused_by(error);
        let mut db = cx.database(DB).map_err(failed)?;
        schema::require_trusted(&mut *db, Trust::Schema)?;
        let control = cx.control();
        if self.task == MaintenanceTask::Retry {
            let count = |kind, queue, count| self.state.inserted(kind, queue, count);
            let delivered = deliver_all(&mut db, &mut self.failing, || !control.is_stopping(), count);
            // A short time ago the period was over: only then, since a step of the keys is never urgent.
            let is_periodic = self.last_period.is_some_and(|last| last.elapsed() < POLL);
            let keys = if is_periodic { event_keys::take_turns(&mut db) } else { Ok(()) };
            return delivered.and(keys);
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
            (self.last, self.is_connected) = (Some(Instant::now()), true);
            self.run(cx).map_err(|error| cx.locate(DB, error))?;
        }
        if self.is_connected && self.period > KEEP_CONNECTION && self.is_unused() {
            cx.databases().close(DB);
            self.is_connected = false;
        }
        Ok(Round::Idle)
    }
}
