//! The state of a ticker, for other threads to read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use dbscript::Control;

use crate::sql::due_events::DueKind;

/// The state of the ticker of one database. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TickerState(Arc<Mutex<Shared>>);

/// The status of the ticker of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TickerStatus {
    /// Its role.
    pub role: TickerRole,
    /// When a round last reached the database. A standby reaches it when it checks the lock.
    pub last_round: Option<SystemTime>,
    /// Ticks made since the start.
    pub ticks: u64,
    /// Retry events that were put back into their queues.
    pub retried: u64,
    /// Delayed events that were inserted into their queues.
    pub delayed: u64,
    /// Events of schedules that were inserted into their queues.
    pub scheduled: u64,
    /// Maintenance operations done.
    pub maintained: u64,
    /// Queues that cannot be ticked.
    pub failing_queues: Vec<String>,
    /// Which sessions hold the ticker's lock and how to end them, if this ticker does not hold it.
    pub lock_held_by: Option<String>,
    /// The error of the last round, if it failed.
    pub error: Option<String>,
}

/// The role of a ticker on its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TickerRole {
    /// The ticker has not reached the database since the start or since the connection was lost.
    #[default]
    Away,
    /// The ticker is the leader.
    Ticking,
    /// Another ticker is the leader, and this one takes over when that one fails; or the server is a standby, where no
    /// ticker can tick.
    Standby,
}

#[derive(Debug, Default)]
struct Shared {
    status: TickerStatus,
    /// When the current round began, if one is running.
    began: Option<Instant>,
    retries: Retries,
}

/// What the threads that tick and that put retry events back report to each other.
#[derive(Debug, Default)]
struct Retries {
    /// The thread that puts retry events back.
    control: Option<Control>,
    are_due: bool,
    /// The ids of the queues with events that were put back and need a tick.
    returned: BTreeSet<i32>,
}

impl TickerState {
    /// Returns the current status.
    pub fn status(&self) -> TickerStatus {
        self.lock().status.clone()
    }

    /// Returns whether the ticker is the leader.
    pub fn is_ticking(&self) -> bool {
        self.lock().status.role == TickerRole::Ticking
    }

    /// Returns whether the current round began longer ago than this.
    pub fn is_stuck(&self, longer_than: Duration) -> bool {
        self.lock().began.is_some_and(|began| began.elapsed() > longer_than)
    }

    pub(super) fn round_started(&self) {
        self.lock().began = Some(Instant::now());
    }

    pub(super) fn round_succeeded(&self, role: Option<TickerRole>, failing_queues: Vec<String>) {
        let mut shared = self.lock();
        shared.began = None;
        let Some(role) = role else { return };
        let status = &mut shared.status;
        (status.role, status.error, status.failing_queues) = (role, None, failing_queues);
        status.last_round = Some(SystemTime::now());
    }

    pub(super) fn round_failed(&self, error: String) {
        let mut shared = self.lock();
        shared.began = None;
        shared.status.role = TickerRole::Away;
        shared.status.error = Some(error);
    }

    /// Sets the handle of the loop that [`retries_due`](TickerState::retries_due) wakes.
    pub(super) fn wakes_for_retries(&self, control: Control) {
        self.lock().retries.control = Some(control);
    }

    /// Records that retry events are due.
    pub(super) fn retries_due(&self) {
        let retries = &mut self.lock().retries;
        retries.are_due = true;
        if let Some(control) = &retries.control {
            control.wake();
        }
    }

    /// Returns whether retry events were due since the last call.
    pub(super) fn take_retries_due(&self) -> bool {
        std::mem::take(&mut self.lock().retries.are_due)
    }

    /// Records that due events were inserted into a queue. Of retry events, no new id shows that the queue needs a tick.
    pub(super) fn inserted(&self, kind: DueKind, queue: i32, count: u64) {
        let mut shared = self.lock();
        match kind {
            DueKind::Retry => {
                shared.status.retried += count;
                shared.retries.returned.insert(queue);
            }
            DueKind::Delayed => shared.status.delayed += count,
            DueKind::Scheduled => shared.status.scheduled += count,
        }
    }

    /// Returns the queues into which retry events were put back since the last call.
    pub(super) fn take_retried(&self) -> BTreeSet<i32> {
        std::mem::take(&mut self.lock().retries.returned)
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut TickerStatus)) {
        change(&mut self.lock().status);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
