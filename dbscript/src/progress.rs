//! The totals of a running loop, for other threads to read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::stats::{Stat, Stats};

/// Reads the totals of a running loop. Clones read the same loop.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Totals>>);

/// Totals of a loop since its start.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Totals {
    /// The number of successful rounds.
    pub rounds: u64,
    /// The number of failed rounds.
    pub failed: u64,
    /// The end of the last successful round; `None` before the first one.
    pub last_round: Option<SystemTime>,
    /// The sums of the figures of all rounds, failed ones included.
    pub stats: Stats,
}

impl Totals {
    /// Returns a count among the figures, or 0 if there is none of that name.
    pub fn count(&self, name: &str) -> u64 {
        match self.stats.get(name) {
            Some(Stat::Count(count)) => count,
            _ => 0,
        }
    }
}

impl Progress {
    /// Returns a copy of the current totals.
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
