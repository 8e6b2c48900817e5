//! What a ticker is doing, for other threads to read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Reads what the ticker of one database is doing. Clones read the same ticker.
#[derive(Clone, Debug, Default)]
pub struct TickerState(Arc<Mutex<Inner>>);

/// What the ticker of one database is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TickerStatus {
    /// Which part it has.
    pub role: TickerRole,
    /// When a round last reached the database; a look at the lock of another ticker is one too.
    pub last_round: Option<SystemTime>,
    /// Ticks made since it was started.
    pub ticks: u64,
    /// Events that were given back to their queues.
    pub retried: u64,
    /// Maintenance operations done.
    pub maintained: u64,
    /// Queues that cannot be ticked.
    pub failing_queues: Vec<String>,
    /// Who has the ticker's lock, and how to end that, when this ticker does not have it.
    pub lock_held_by: Option<String>,
    /// Why the last round failed, if it did.
    pub error: Option<String>,
}

/// The part of a ticker on its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TickerRole {
    /// It has not reached the database, or not since the connection was lost.
    #[default]
    Away,
    /// It ticks.
    Ticking,
    /// Another ticker does, and this one takes over when that one is gone; or the server is a standby, where
    /// nobody can.
    Standby,
}

#[derive(Debug, Default)]
struct Inner {
    status: TickerStatus,
    /// When the round began that has not ended yet.
    began: Option<Instant>,
}

impl TickerState {
    /// Returns what the ticker is doing at this moment.
    pub fn status(&self) -> TickerStatus {
        self.lock().status.clone()
    }

    /// Returns whether the ticker is the one at work.
    pub fn is_ticking(&self) -> bool {
        self.lock().status.role == TickerRole::Ticking
    }

    /// Returns whether a round hangs: it began longer ago than that and has not ended.
    pub fn is_stuck(&self, longer_than: Duration) -> bool {
        self.lock().began.is_some_and(|began| began.elapsed() > longer_than)
    }

    pub(super) fn begin(&self) {
        self.lock().began = Some(Instant::now());
    }

    pub(super) fn reached(&self, role: Option<TickerRole>, failing_queues: Vec<String>) {
        let mut inner = self.lock();
        inner.began = None;
        let Some(role) = role else { return };
        let status = &mut inner.status;
        (status.role, status.error, status.failing_queues) = (role, None, failing_queues);
        status.last_round = Some(SystemTime::now());
    }

    pub(super) fn failed(&self, error: String) {
        let mut inner = self.lock();
        inner.began = None;
        inner.status.role = TickerRole::Away;
        inner.status.error = Some(error);
    }

    pub(crate) fn count(&self, add: impl FnOnce(&mut TickerStatus)) {
        add(&mut self.lock().status);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
