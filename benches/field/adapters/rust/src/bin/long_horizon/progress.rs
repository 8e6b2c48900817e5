//! The counts of producer and consumer.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use field_adapters::{BoxError, now};
use pgq::{BatchInfo, Delivered, Hooks};

use crate::latencies::Latencies;

/// What producer and consumer have done.
pub(crate) struct Progress {
    inserted: AtomicU64,
    completed: AtomicU64,
    /// The events of unfinished batches. The sampler corrects the number by that of the database.
    depth: AtomicI64,
    latencies: Mutex<Latencies>,
}

impl Progress {
    /// Makes the counts of a run.
    ///
    /// # Errors
    ///
    /// Those of [`Latencies::new`].
    pub(crate) fn new() -> Result<Progress, BoxError> {
        Ok(Progress {
            inserted: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            depth: AtomicI64::new(0),
            latencies: Mutex::new(Latencies::new()?),
        })
    }

    pub(crate) fn add_inserted(&self, events: u64) {
        self.inserted.fetch_add(events, Ordering::Relaxed);
        self.depth.fetch_add(events.cast_signed(), Ordering::Relaxed);
    }

    /// Counts the start of a handler by the time of its event's insertion, in microseconds since 1970.
    pub(crate) fn add_started(&self, inserted_at: u64) {
        let now = u64::try_from(now()).unwrap_or(u64::MAX);
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.record(now / 1_000_000, now.saturating_sub(inserted_at));
    }

    pub(crate) fn add_completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn inserted(&self) -> u64 {
        self.inserted.load(Ordering::Relaxed)
    }

    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    pub(crate) fn depth(&self) -> u64 {
        u64::try_from(self.depth.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(crate) fn set_depth(&self, depth: i64) {
        self.depth.store(depth, Ordering::Relaxed);
    }

    /// Returns quantiles of the 30 seconds before a second since 1970, in milliseconds.
    ///
    /// # Errors
    ///
    /// Those of [`Latencies::quantiles`].
    pub(crate) fn quantiles<const N: usize>(
        &self,
        second: u64,
        quantiles: [f64; N],
    ) -> Result<[f64; N], BoxError> {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).quantiles(second, quantiles)
    }
}

impl Hooks for Progress {
    fn batch_finished(&self, _batch: &BatchInfo, delivered: &Delivered, _took: Duration) {
        self.depth.fetch_sub(delivered.events.cast_signed(), Ordering::Relaxed);
    }
}
