//! An open batch, as a consumer sees it.

mod database;

use std::sync::Arc;
use std::time::Duration;

use dbscript::{Control, LogThrottle, StatementCache, catch_panic, describe_in_full, ready};
use postgres::{Client, GenericClient};

use crate::consume::failures::Reports;
use crate::consume::hooks::Hooks;
use crate::consume::outcome::Outcome;
use crate::consume::read::events::Events;
use crate::consume::redeliver::is_no_events_fault;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::run::subscription::Subscription;
use crate::consume::savepoints::Savepoints;
use crate::consume::spans::{BatchSpan, EventSpan};
use crate::consume::statements::Statements;
use crate::consume::tags::{Tagged, Tags};
use crate::error::{Error, ErrorKind};
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::Event;
use dbscript::BoxError;

/// The events of a batch and what is to become of them.
///
/// The batch, its retries and failures, and what the consumer writes through [`db`](Batch::db) are committed
/// together by [`finish`](Batch::finish). Dropped, the batch stays open and is delivered again.
pub struct Batch<'a> {
    /// Dropped before the transaction ends: behind a pooler, the next transaction may run on another connection.
    statements: Statements,
    events: Events<'a>,
    tags: Tags,
    policy: Option<RetryPolicy>,
    savepoints: Savepoints,
    reports: Reports,
    /// Whether the batch is to be delivered again.
    is_redelivered: bool,
    /// Of the loop that the batch is delivered by.
    control: Control,
}

impl<'a> Batch<'a> {
    /// Starts a transaction to process the batch in, unless the subscription wants none.
    ///
    /// # Errors
    ///
    /// As [`Events::open`].
    pub fn open(
        client: &'a mut Client,
        subscription: &Subscription,
        info: BatchInfo,
    ) -> Result<Batch<'a>, Error> {
        let events = Events::open(client, subscription, info)?;
        Ok(Batch::of(events, subscription.settings().retry_policy.clone()))
    }

    /// As [`open`](Batch::open), with the prepared statements of the connection.
    pub(crate) fn open_with(
        client: &'a mut Client,
        statements: &StatementCache,
        subscription: &Subscription,
        info: BatchInfo,
    ) -> Result<Batch<'a>, Error> {
        let events = Events::open_with(client, statements, subscription, info)?;
        Ok(Batch::of(events, subscription.settings().retry_policy.clone()))
    }

    pub(crate) fn of(events: Events<'a>, policy: Option<RetryPolicy>) -> Batch<'a> {
        Batch {
            statements: Statements::default(),
            events,
            tags: Tags::default(),
            policy,
            savepoints: Savepoints::default(),
            reports: Reports::default(),
            is_redelivered: false,
            control: Control::default(),
        }
    }

    /// Attaches the stop signal, the hooks, and the throttle of the log.
    pub(crate) fn under(
        mut self,
        control: Control,
        hooks: Option<Arc<dyn Hooks>>,
        throttle: Arc<LogThrottle>,
    ) -> Batch<'a> {
        self.control = control;
        self.reports = Reports::new(hooks, throttle);
        self
    }

    /// Returns how many events were read, and the tags that were not sent.
    pub(crate) fn into_tags(self) -> (u64, Tags) {
        (self.events.count(), self.tags)
    }

    /// Returns the batch's id and ticks.
    pub fn info(&self) -> &BatchInfo {
        self.events.info()
    }

    /// Returns the queue's name.
    pub fn queue(&self) -> &str {
        self.events.queue()
    }

    /// Returns how many events were read so far.
    pub fn count(&self) -> u64 {
        self.events.count()
    }

    /// Returns how many events were tagged for retry so far.
    pub fn retried(&self) -> u64 {
        self.tags.retried()
    }

    /// Returns how many events were tagged as failed so far.
    pub fn failed(&self) -> u64 {
        self.tags.failed()
    }

    /// Returns the next event, or `None` at the end of the batch and after [`redeliver`](Batch::redeliver).
    ///
    /// # Errors
    ///
    /// As [`Events::next_event`]. With a [`RetryPolicy`], an event that cannot be read is tagged as the policy says,
    /// and the one after it is returned. Fails within asynchronous code, such as `Runtime::block_on`
    /// ([`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), which ends the loop).
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        database::require_blocking()?;
        if self.is_redelivered {
            return Ok(None);
        }
        loop {
            // Tags that a handler sends would be rolled back together with its writes.
            if self.tags.are_many() && !self.savepoints.are_in_use() {
                self.events.send(&mut self.tags)?;
            }
            let Some(event) = self.events.next_unchecked()? else { return Ok(None) };
            match self.events.check(&event) {
                Ok(()) => return Ok(Some(event)),
                Err(unreadable) if self.policy.is_none() => return Err(unreadable),
                Err(unreadable) => self.give_up(&event, unreadable)?,
            }
        }
    }

    /// Tags an event that cannot be read.
    fn give_up(&mut self, event: &Event, unreadable: Error) -> Result<(), Error> {
        let outcome = self.attempt(event, |_| Err(unreadable.into()));
        let outcome = outcome.map_err(|error| Error::failed("cannot read events").made_of(error))?;
        self.settle(event, outcome);
        Ok(())
    }

    /// Tags an event for retry: it is delivered again to this consumer, in a batch after `delay` at the earliest,
    /// rounded up to a second. Of several tags of an event the last one counts. After as many retries as a
    /// [`RetryPolicy`] allows, it is tagged as failed instead. PgQ: `pgq.event_retry`.
    pub fn retry(&mut self, event: &Event, delay: Duration) {
        self.settle(event, Outcome::Retry(delay));
    }

    /// Tags an event for retry at once, whatever a [`RetryPolicy`] says: for what is left of a batch when the consumer
    /// [is to stop](Batch::is_stopping). The events lose their order; [`redeliver`](Batch::redeliver) keeps it. The retry
    /// counts in [`Event::retry`]. PgQ: `pgq.event_retry`.
    pub fn put_back(&mut self, event: &Event) {
        self.tag(event, Outcome::Retry(Duration::ZERO));
    }

    /// Gives the batch back: it is not finished, and is delivered again from its first event, in order.
    ///
    /// No further event is returned. When the handler returns without an error, the effects and tags of this batch are
    /// rolled back, except what a consumer with [`autocommit`](crate::Settings::autocommit) has already written. A loop
    /// that is stopping then ends; any other loop waits for a second, and longer each time in a row, up to 20 seconds.
    ///
    /// This is how a consumer [stops](Batch::is_stopping) within a batch whose order matters. If repeating the handled
    /// events is worse than another order, [`put_back`](Batch::put_back) the events that are left.
    pub fn redeliver(&mut self) {
        self.is_redelivered = true;
    }

    /// Returns whether [`redeliver`](Batch::redeliver) was called.
    pub(crate) fn is_redelivered(&self) -> bool {
        self.is_redelivered
    }

    /// Returns whether a stop was requested. The consumer stops after the batch. A consumer whose batches take long may
    /// [give the batch back](Batch::redeliver) or [put back](Batch::put_back) the remaining events, so that the stop
    /// need not wait for them.
    pub fn is_stopping(&self) -> bool {
        self.control.is_stopping()
    }

    /// Tags an event as failed: it goes to the consumer's failed events, with a reason. Tags count as in
    /// [`retry`](Batch::retry). Skytools 2: `tag_failed`.
    pub fn fail(&mut self, event: &Event, reason: impl Into<String>) {
        self.settle(event, Outcome::Failed(reason.into()));
    }

    /// Tags an event as an outcome says, where a retry that the [`RetryPolicy`] does not allow any more is a failure.
    pub fn settle(&mut self, event: &Event, outcome: Outcome) {
        let outcome = match &self.policy {
            Some(policy) => policy.limited(event.retry(), outcome),
            None => outcome,
        };
        self.tag(event, outcome);
    }

    fn tag(&mut self, event: &Event, outcome: Outcome) {
        self.reports.settled(event, &outcome);
        match outcome {
            Outcome::Done => {}
            Outcome::Retry(delay) => self.tags.retry(Tagged::new(event), delay),
            Outcome::Failed(reason) => self.tags.fail(Tagged::new(event), reason),
        }
    }

    /// Calls a handler of one event. When it fails or panics and there is a [`RetryPolicy`], what it wrote through
    /// [`db`](Batch::db) is rolled back, and the policy decides the outcome. A handler may call another one for
    /// another event; when the outer one fails, what the inner one wrote is rolled back, too.
    ///
    /// # Errors
    ///
    /// The error or the panic of the handler without a policy, when its transaction cannot continue, and when the event is not at
    /// fault: an error that [ends the loop](crate::Consumer#errors), one of a loop that is stopping, and
    /// [`Redeliver`](crate::consume::Redeliver).
    pub fn attempt(
        &mut self,
        event: &Event,
        handler: impl FnOnce(&mut Batch<'a>) -> Result<Outcome, BoxError>,
    ) -> Result<Outcome, BoxError> {
        let span = self.events.span().event(event);
        let Some(policy) = self.policy.clone() else {
            let result = span.call(|| catch_panic(|| handler(self)));
            span.ended(&result);
            return result;
        };
        self.attempt_under(&policy, event, &span, handler).inspect_err(|error| span.broke(&**error))
    }

    fn attempt_under(
        &mut self,
        policy: &RetryPolicy,
        event: &Event,
        span: &EventSpan,
        handler: impl FnOnce(&mut Batch<'a>) -> Result<Outcome, BoxError>,
    ) -> Result<Outcome, BoxError> {
        self.savepoints.start();
        let result = span.call(|| catch_panic(|| handler(self)));
        let savepoint = self.savepoints.end();
        match result {
            Ok(outcome) => {
                let outcome = policy.limited(event.retry(), outcome);
                span.settled(&outcome);
                Ok(outcome)
            }
            // The error may be that of a statement which the abort has cancelled.
            Err(error) if self.control.is_aborting() || is_no_events_fault(&*error) => Err(error),
            Err(error) if !ready(self.savepoints.roll_back(savepoint, self.events.transaction())) => {
                Err(error)
            }
            Err(error) => {
                self.reports.failed(self.events.queue(), event, &*error);
                let outcome = policy.outcome(event.retry(), &describe_in_full(&*error));
                span.failed(&*error, &outcome);
                Ok(outcome)
            }
        }
    }

    /// Copies every event of the batch into a queue of another database. See [`Events::copy_to`].
    ///
    /// # Errors
    ///
    /// As [`Events::copy_to`].
    pub fn copy_to(&mut self, target: &mut impl GenericClient, queue: &str) -> Result<u64, Error> {
        self.events.copy_to(target, queue)
    }

    /// Returns the batch's events alone, for consumers that may not retry.
    pub fn events(&mut self) -> &mut Events<'a> {
        &mut self.events
    }

    /// Adds queue, consumer and batch to an error of the code that processes the batch. A handler's lock that is busy
    /// is not the consumer's.
    pub(crate) fn locate(&self, error: BoxError) -> BoxError {
        match error.downcast::<Error>() {
            Ok(error) if error.kind() == ErrorKind::Busy => self.not_processed(*error).into(),
            Ok(error) if error.queue().is_some() => error,
            Ok(error) => self.events.at().add_to(*error).into(),
            Err(error) => self.not_processed(error).into(),
        }
    }

    fn not_processed(&self, error: impl Into<BoxError>) -> Error {
        self.failed_by("cannot process the batch", error.into())
    }

    /// Makes the error of a step whose handler failed. A handler that does not fit the settings stays one.
    fn failed_by(&self, what: &str, error: BoxError) -> Error {
        let step = match Error::is_misconfigured(&*error) {
            true => Error::misconfigured(what),
            false => Error::failed(what),
        };
        self.events.at().add_to(step).caused_by(error)
    }

    /// Makes the error of an event whose handler failed.
    pub(crate) fn handler_failed(&self, event: &Event, error: BoxError) -> Error {
        self.failed_by("cannot process the event", error).at_event(event.id())
    }

    pub(crate) fn span(&self) -> &BatchSpan {
        self.events.span()
    }

    /// Returns queue, consumer and batch, as messages show them.
    #[doc(hidden)]
    pub fn place(&self) -> String {
        self.events.at().to_string()
    }

    /// Sends the tags, finishes the batch and commits. PgQ: `pgq.finish_batch`.
    ///
    /// # Errors
    ///
    /// As [`Events::finish`], and when events cannot be tagged.
    pub fn finish(mut self) -> Result<(), Error> {
        self.statements.clear();
        self.events.finish_with(&self.tags)
    }

    /// As [`finish`](Batch::finish), for a batch whose effects are committed elsewhere: also when another subconsumer
    /// has taken it over, which then finds nothing to do.
    ///
    /// # Errors
    ///
    /// As [`finish`](Batch::finish).
    pub fn finish_applied(mut self) -> Result<(), Error> {
        self.statements.clear();
        self.events.finish_applied(&mut self.tags)
    }
}
