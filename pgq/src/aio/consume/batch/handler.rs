//! The end of an event's handler.

use std::error::Error as StdError;

use dbscript::{BoxError, describe_in_full};

use super::Batch;
use crate::consume::outcome::Outcome;
use crate::consume::redeliver::is_no_events_fault;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::savepoints::Savepoint;
use crate::consume::spans::EventSpan;
use crate::error::Error;
use crate::event::stored_event::Event;

impl Batch {
    /// Notes that a handler of one event starts.
    pub(in crate::aio) fn start_handler(&mut self) {
        if self.policy().is_some() {
            self.savepoints.start();
        }
    }

    /// Settles an event whose handler has ended. When the handler failed and there is a policy, its writes through
    /// [`db`](Batch::db) are rolled back, and the policy decides the outcome.
    ///
    /// # Errors
    ///
    /// The error of the handler without a policy, when its transaction cannot continue, and when the event is not at
    /// fault.
    pub(in crate::aio) async fn end_handler(
        &mut self,
        event: &Event,
        span: &EventSpan,
        result: Result<Outcome, BoxError>,
    ) -> Result<(), BoxError> {
        let savepoint = self.savepoints.end();
        let Some(error) = self.settle_handled(event, span, result)? else { return Ok(()) };
        let is_rolled_back = self.roll_back(savepoint).await?;
        self.settle_failed(event, span, error, is_rolled_back)
    }

    /// Rolls back the writes of a handler; returns whether the batch can continue.
    async fn roll_back(&mut self, savepoint: Savepoint) -> Result<bool, Error> {
        if savepoint == Savepoint::Wanted {
            return Ok(true);
        }
        let main = self.connections.main()?;
        Ok(self.savepoints.roll_back(savepoint, Some(main)).await)
    }

    /// Settles an event whose handler has succeeded; returns the error of a handler that failed, for the policy.
    pub(super) fn settle_handled(
        &mut self,
        event: &Event,
        span: &EventSpan,
        result: Result<Outcome, BoxError>,
    ) -> Result<Option<BoxError>, BoxError> {
        match (result, self.policy()) {
            (Ok(outcome), policy) => {
                let outcome = policy.map_or(outcome.clone(), |policy| policy.limited(event.retry(), outcome));
                span.settled(&outcome);
                self.tag(event, outcome);
                Ok(None)
            }
            (Err(error), Some(_)) if !is_no_events_fault(&*error) => Ok(Some(error)),
            (Err(error), _) => Err(self.broke(event, span, error)),
        }
    }

    /// Settles an event whose handler has failed, as the policy says.
    pub(super) fn settle_failed(
        &mut self,
        event: &Event,
        span: &EventSpan,
        error: BoxError,
        is_rolled_back: bool,
    ) -> Result<(), BoxError> {
        let Some(policy) = self.policy().filter(|_| is_rolled_back) else {
            return Err(self.broke(event, span, error));
        };
        let outcome = policy.outcome(event.retry(), &describe_in_full(&*error));
        self.report_failed(event, &*error);
        span.failed(&*error, &outcome);
        self.tag(event, outcome);
        Ok(())
    }

    /// Makes the error of a handler for which the batch is delivered again.
    fn broke(&self, event: &Event, span: &EventSpan, error: BoxError) -> BoxError {
        span.broke(&*error);
        self.handler_failed(event, error).into()
    }

    /// Logs why a handler failed.
    pub(in crate::aio) fn report_failed(&mut self, event: &Event, error: &(dyn StdError + 'static)) {
        let Batch { connections, reports, .. } = self;
        reports.failed(&connections.subscription.settings().queue, event, error);
    }

    pub(in crate::aio) fn policy(&self) -> Option<&RetryPolicy> {
        self.connections.subscription.settings().retry_policy.as_ref()
    }

    /// Makes the error of an event whose handler failed. A handler that does not fit the settings stays one.
    pub(in crate::aio) fn handler_failed(&self, event: &Event, error: BoxError) -> Error {
        let what = "cannot process the event";
        let step = match Error::is_misconfigured(&*error) {
            true => Error::misconfigured(what),
            false => Error::failed(what),
        };
        self.at().add_to(step).at_event(event.id()).caused_by(error)
    }
}
