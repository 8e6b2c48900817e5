//! A running ticker.

use std::thread;
use std::time::{Duration, Instant};

use dbscript::WorkerHandle;

use super::state::TickerState;
use crate::error::Error;

/// How long maintenance may go on after the ticker was asked to end. It can be cancelled without harm.
const GRACE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

/// A running ticker. Dropping it ends it within seconds, maintenance that takes longer is cancelled.
pub struct TickerHandle {
    pub(super) workers: Vec<WorkerHandle>,
    pub(super) state: TickerState,
    pub(crate) conninfo: String,
}

impl TickerHandle {
    /// Returns what tells other threads how the ticker is doing.
    pub fn state(&self) -> TickerState {
        self.state.clone()
    }

    /// Asks the ticker to end after the current round.
    pub fn stop(&self) {
        self.workers.iter().for_each(WorkerHandle::stop);
    }

    /// Asks the ticker to end now: running statements are cancelled.
    ///
    /// Returns whether it has ended, after three quarters of a second at most.
    pub fn abort(&self) -> bool {
        thread::scope(|scope| {
            let aborts: Vec<_> = self.workers.iter().map(|worker| scope.spawn(|| worker.abort())).collect();
            aborts.into_iter().all(|abort| abort.join().unwrap_or(false))
        })
    }

    /// Returns whether any part of the ticker has ended.
    pub fn is_finished(&self) -> bool {
        self.workers.iter().any(WorkerHandle::is_finished)
    }

    /// Waits for the ticker to end.
    ///
    /// # Errors
    ///
    /// What ended it, if it was not asked to.
    pub fn join(mut self) -> Result<(), Error> {
        let mut result = Ok(());
        for worker in std::mem::take(&mut self.workers) {
            result = result.and(worker.join());
        }
        result.map_err(|error| Error::failed("the ticker failed").caused_by(error))
    }

    /// Ends several tickers at once, within seconds; `at_once` says whether to wait at all.
    pub(crate) fn end_all(tickers: Vec<TickerHandle>, at_once: impl Fn() -> bool) {
        let workers = || tickers.iter().flat_map(|ticker| &ticker.workers);
        workers().for_each(WorkerHandle::stop);
        let limit = Instant::now() + GRACE;
        while !workers().all(WorkerHandle::is_finished) && Instant::now() < limit && !at_once() {
            thread::sleep(POLL);
        }
        thread::scope(|scope| {
            for worker in workers().filter(|worker| !worker.is_finished()) {
                scope.spawn(|| worker.abort());
            }
        });
        // What does not end even now is left to itself: a server that does not answer must not keep anybody.
        for worker in tickers.into_iter().flat_map(|mut ticker| std::mem::take(&mut ticker.workers)) {
            if !worker.is_finished() {
                thread::spawn(|| worker.join());
            }
        }
    }
}

impl Drop for TickerHandle {
    fn drop(&mut self) {
        let workers = std::mem::take(&mut self.workers);
        if !workers.is_empty() {
            TickerHandle::end_all(
                vec![TickerHandle { workers, state: self.state.clone(), conninfo: String::new() }],
                || false,
            );
        }
    }
}
