//! Handlers that write in a transaction of the caller.

use dbscript::BoxError;

use super::Batch;
use crate::aio::consume::transaction::{self, Transaction};
use crate::consume::outcome::Outcome;
use crate::consume::spans::EventSpan;
use crate::error::Error;
use crate::event::stored_event::Event;

/// Sets a savepoint in a caller's transaction.
const SAVEPOINT: &str = "savepoint pgq_event";
/// Sets the savepoint before the next event.
const NEXT: &str = "release savepoint pgq_event; savepoint pgq_event";
const ROLL_BACK: &str = "rollback to savepoint pgq_event";

impl Batch {
    /// Prepares a caller's transaction for the handlers that write there.
    pub(in crate::aio) async fn start_handlers_in(
        &mut self,
        caller: &mut impl Transaction,
    ) -> Result<(), BoxError> {
        if self.policy().is_some() { caller.execute(SAVEPOINT).await } else { Ok(()) }
    }

    /// As [`start_handler`](Batch::start_handler), of a handler that writes in a caller's transaction.
    pub(in crate::aio) async fn start_handler_in(
        &mut self,
        caller: &mut impl Transaction,
    ) -> Result<(), BoxError> {
        if self.policy().is_some() { caller.execute(NEXT).await } else { Ok(()) }
    }

    /// As [`end_handler`](Batch::end_handler), of a handler that wrote in a caller's transaction.
    pub(in crate::aio) async fn end_handler_in(
        &mut self,
        event: &Event,
        span: &EventSpan,
        result: Result<Outcome, BoxError>,
        caller: &mut impl Transaction,
    ) -> Result<(), BoxError> {
        let Some(error) = self.settle_handled(event, span, result)? else { return Ok(()) };
        let is_rolled_back = caller.execute(ROLL_BACK).await.is_ok();
        self.settle_failed(event, span, error, is_rolled_back)
    }

    /// Sends tags in the caller's transaction if there are many.
    pub(in crate::aio) async fn send_many_in(&mut self, caller: &mut impl Transaction) -> Result<(), Error> {
        if self.tags.are_many() {
            let sent = transaction::tag(caller, &self.opening, &self.holder, &self.tags).await;
            sent.map_err(|error| self.at().add_to(error))?;
            self.tags.forget_sent();
        }
        Ok(())
    }
}
