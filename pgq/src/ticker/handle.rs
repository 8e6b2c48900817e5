//! A running ticker.

use std::thread;
use std::time::{Duration, Instant};

use dbscript::WorkerHandle;

use super::state::TickerState;
use crate::error::Error;

/// How long maintenance may continue after a stop. It can be cancelled without harm.
const GRACE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

/// A running ticker. Dropping the handle stops the ticker within seconds and cancels maintenance that takes longer.
pub struct TickerHandle {
    pub(super) workers: Vec<WorkerHandle>,
    pub(super) state: TickerState,
    pub(crate) conninfo: String,
}

impl TickerHandle {
    /// Returns the state of the ticker, for other threads to read.
    pub fn state(&self) -> TickerState {
        self.state.clone()
    }

    /// Requests that the ticker stops after the current round.
    pub fn stop(&self) {
        self.workers.iter().for_each(WorkerHandle::stop);
    }

    /// Stops the ticker now and cancels its running statements.
    ///
    /// Returns within 0.75 seconds whether the ticker has stopped.
    pub fn abort(&self) -> bool {
        thread::scope(|scope| {
            let aborts: Vec<_> = self.workers.iter().map(|worker| scope.spawn(|| worker.abort())).collect();
            aborts.into_iter().all(|abort| abort.join().unwrap_or(false))
        })
    }

    /// Returns whether any thread of the ticker has ended.
    pub fn is_finished(&self) -> bool {
        self.workers.iter().any(WorkerHandle::is_finished)
    }

    /// Waits until the ticker has stopped.
    ///
    /// # Errors
    ///
    /// The error that has stopped the ticker, if it was not stopped on request.
    pub fn join(mut self) -> Result<(), Error> {
        let mut result = Ok(());
        for worker in std::mem::take(&mut self.workers) {
            result = result.and(worker.join());
        }
        result.map_err(|error| Error::failed("the ticker failed").caused_by(error))
    }

    /// Stops several tickers within seconds; once `at_once` returns true, cancels their work.
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
        // A thread that waits for a server which does not respond ends by itself later.
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
