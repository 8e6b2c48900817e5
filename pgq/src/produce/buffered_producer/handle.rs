//! The part of a producer that its clones share.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dbscript::WorkerHandle;
use log::error;

use super::CloseError;
use super::shared::Shared;
use crate::error::Error;

/// The longest time for which dropping waits: a destructor must not hang.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// The pending events and the writing thread. Dropping it closes the producer and logs the events that were not
/// inserted.
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) patience: Duration,
    queue: String,
    state: Mutex<State>,
}

enum State {
    Open(WorkerHandle),
    /// The error of closing, if events were left.
    Closed(Option<Error>),
}

impl Handle {
    pub(super) fn new(
        queue: String,
        shared: Arc<Shared>,
        patience: Duration,
        worker: WorkerHandle,
    ) -> Handle {
        Handle { shared, patience, queue, state: Mutex::new(State::Open(worker)) }
    }

    pub(super) fn close(&self) -> Result<(), CloseError> {
        self.close_within(self.patience)
    }

    fn close_within(&self, patience: Duration) -> Result<(), CloseError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match std::mem::replace(&mut *state, State::Closed(None)) {
            State::Open(worker) => self.end(worker, patience),
            State::Closed(None) => Ok(()),
            State::Closed(Some(error)) => Err(CloseError::new(Vec::new(), error)),
        };
        *state = State::Closed(result.as_ref().err().map(|lost| lost.error().clone()));
        result
    }

    fn end(&self, worker: WorkerHandle, patience: Duration) -> Result<(), CloseError> {
        let result = self.shared.close(patience);
        self.shared.abandon();
        if result.is_err() {
            abort(worker);
        }
        match (result, self.shared.take_rest()) {
            // Without events left, the last attempt was committed in spite of the error.
            (Err(error), rest) if !rest.is_empty() => Err(CloseError::new(rest, error)),
            _ => Ok(()),
        }
    }

    pub(super) fn log_loss(&self, lost: &CloseError) {
        // The events of an earlier close were returned or logged then.
        if lost.events().is_empty() {
            return;
        }
        error!("queue `{}`: {}", self.queue, dbscript::describe(lost));
    }
}

/// Cancels the running attempt, and does not wait for a thread that waits for a dead server.
fn abort(worker: WorkerHandle) {
    if !worker.abort() {
        // Dropping the worker waits for its thread. If no thread can be started for that, this one waits.
        let _ = thread::Builder::new().name("end".to_owned()).spawn(move || drop(worker));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(lost) = self.close_within(self.patience.min(DROP_PATIENCE)) {
            self.log_loss(&lost);
        }
    }
}

#[cfg(test)]
mod tests;
