//! What the clones of a producer share.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dbscript::WorkerHandle;
use log::error;

use super::CloseError;
use super::shared::Shared;
use crate::error::Error;

/// How long dropping waits at most; code that fails must not hang in the destructor of what it held.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// The buffer and the thread. Dropped, it closes the producer, and logs what could not be inserted.
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) patience: Duration,
    queue: String,
    state: Mutex<State>,
}

enum State {
    Open(WorkerHandle),
    /// Why events were left, if any were.
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
            give_up(worker);
        }
        match (result, self.shared.take_rest()) {
            // What was committed in the last moment is committed.
            (Err(error), rest) if !rest.is_empty() => Err(CloseError::new(rest, error)),
            _ => Ok(()),
        }
    }

    pub(super) fn log_loss(&self, lost: &CloseError) {
        // The others were given back, or logged, before.
        if lost.events().is_empty() {
            return;
        }
        error!("queue `{}`: {}", self.queue, dbscript::describe(lost));
    }
}

/// Cancels the attempt that is under way. A thread that waits for a server which is gone is not waited for.
fn give_up(worker: WorkerHandle) {
    if !worker.abort() {
        // Dropping the worker waits for the thread; without a thread to do it, that is done here.
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
