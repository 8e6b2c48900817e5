//! The result of closing a producer until it is taken.

use std::sync::Arc;

use super::CloseError;
use super::handle::Handle;

/// The result of closing. Dropping it without taking it logs the events that were lost.
pub(super) struct Unclaimed {
    handle: Arc<Handle>,
    result: Option<Result<(), CloseError>>,
}

impl Unclaimed {
    pub(super) fn new(handle: Arc<Handle>) -> Unclaimed {
        let result = Some(handle.close());
        Unclaimed { handle, result }
    }

    pub(super) fn take(mut self) -> Result<(), CloseError> {
        self.result.take().unwrap_or(Ok(()))
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(Err(lost)) = &self.result {
            self.handle.log_loss(lost);
        }
    }
}
