//! What a running loop has done so far, for other threads to read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::stats::{Stat, Stats};

/// Reads what a running loop has done so far. Clones read the same loop.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Totals>>);

/// What a loop has done since it was started.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Totals {
    /// Rounds that succeeded.
    pub rounds: u64,
    /// Rounds that failed.
    pub failed: u64,
    /// When the last round that succeeded ended.
    pub last_round: Option<SystemTime>,
    /// The figures of all rounds, added up.
    pub stats: Stats,
}

impl Totals {
    /// Returns a count among the figures, 0 when there was none of that name.
    pub fn count(&self, name: &str) -> u64 {
        match self.stats.get(name) {
            Some(Stat::Count(count)) => count,
            _ => 0,
        }
    }
}

impl Progress {
    /// Returns the totals at this moment.
    pub fn totals(&self) -> Totals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self, succeeded: bool, stats: &Stats) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if succeeded {
            totals.rounds += 1;
            totals.last_round = Some(SystemTime::now());
        } else {
            totals.failed += 1;
        }
        totals.stats.add_all(stats);
    }
}
