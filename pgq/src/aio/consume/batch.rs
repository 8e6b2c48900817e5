//! An open batch, as asynchronous code sees it.

mod fake;

use std::error::Error as StdError;
use std::future::{Future, pending};
use std::time::Duration;
use std::vec::IntoIter;

use dbscript::{BoxError, describe_in_full, is_final, is_interrupted};
use tokio_postgres::Client;

pub(crate) use self::fake::Ledger;
use super::connections::{Opened, Turn};
use super::guard::Guard;
use super::origin::Origin;
use super::reader::Reader;
use crate::consume::delivered::Delivered;
use crate::consume::failures::Reports;
use crate::consume::finish::{finish, tag};
use crate::consume::holder::{self, BatchHolder};
use crate::consume::outcome::Outcome;
use crate::consume::read::opening::Opening;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::savepoints::{Savepoint, Savepoints};
use crate::consume::spans::{BatchSpan, EventSpan};
use crate::consume::tags::{Tagged, Tags};
use crate::error::{At, Error};
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::{Event, require_types};

/// The error of a batch whose consumer's lock is lost: another process may handle the batch already.
const LOCK_LOST: &str = "lost the consumer's lock";

/// The events of a batch, and their outcomes.
///
/// [`commit`](Batch::commit) finishes the batch. A batch that is dropped stays open: what was written through
/// [`db`](Batch::db) is rolled back, and the batch is delivered again.
pub struct Batch {
    connections: Turn,
    info: BatchInfo,
    holder: BatchHolder,
    opening: Opening,
    reader: Reader,
    page: IntoIter<Event>,
    tags: Tags,
    savepoints: Savepoints,
    reports: Reports,
    read: u64,
    /// Receives the outcome of a batch that no server has.
    ledger: Option<Ledger>,
    span: BatchSpan,
}

impl Batch {
    pub(super) fn new(connections: Turn, opened: Opened, reports: Reports) -> Batch {
        let settings = connections.subscription.settings();
        let reader = Reader::new(settings);
        let Opened { info, holder, opening } = opened;
        Batch {
            span: BatchSpan::new(settings, &info),
            connections,
            info,
            holder,
            opening,
            reader,
            page: Vec::new().into_iter(),
            tags: Tags::default(),
            savepoints: Savepoints::default(),
            reports,
            read: 0,
            ledger: None,
        }
    }

    /// Returns the batch's id and ticks.
    pub fn info(&self) -> &BatchInfo {
        &self.info
    }

    /// Returns the queue's name.
    pub fn queue(&self) -> &str {
        &self.connections.subscription.settings().queue
    }

    /// Returns the queue, the consumer and the batch.
    pub fn origin(&self) -> Origin {
        Origin::new(self.connections.subscription.settings(), &self.info)
    }

    /// Returns how many events were read so far, and how many of them were tagged.
    pub fn delivered(&self) -> Delivered {
        Delivered {
            events: self.read,
            retried: self.tags.retried(),
            failed: self.tags.failed(),
            ..Delivered::default()
        }
    }

    /// Returns the next event, or `None` at the end of the batch. At most a page of about a megabyte is in memory.
    ///
    /// A future that is dropped loses no event: the next call returns the event.
    ///
    /// # Errors
    ///
    /// When the server fails. An event whose text is not UTF-8, which a database with encoding SQL_ASCII may hold, is an
    /// error that names event and column; with a [`RetryPolicy`](crate::RetryPolicy), the event is tagged as the policy
    /// says, and the one after it is returned.
    pub async fn next_event(&mut self) -> Result<Option<Event>, Error> {
        loop {
            // Tags that a handler sends would be rolled back together with its writes.
            if self.tags.are_many() && !self.savepoints.are_in_use() {
                self.send_tags().await?;
            }
            let Some(event) = self.next_unchecked().await? else { return Ok(None) };
            let Some(column) = self.unreadable(&event) else { return Ok(Some(event)) };
            let what = format!("cannot read the event: `{column}` is not UTF-8");
            let Some(policy) = self.policy() else {
                return Err(self.at().add_to(Error::failed(what)).at_event(event.id()));
            };
            let outcome = policy.outcome(event.retry(), &what);
            self.give_up(&event, &Error::failed(what), outcome);
        }
    }

    /// Tags an event that cannot be read.
    fn give_up(&mut self, event: &Event, unreadable: &Error, outcome: Outcome) {
        self.report_failed(event, unreadable);
        let span = self.span.event(event);
        span.failed(unreadable, &outcome);
        span.settled(&outcome);
        self.tag(event, outcome);
    }

    fn unreadable(&self, event: &Event) -> Option<&'static str> {
        if self.opening.has_bytes { event.unreadable() } else { None }
    }

    /// Returns whether the next event was read already.
    pub(super) fn has_page(&self) -> bool {
        self.page.len() > 0
    }

    /// Waits until the next event is read; returns `false` at the end of the batch. The future may be dropped.
    pub(super) async fn wait_for_page(&mut self) -> Result<bool, Error> {
        if !self.has_page() {
            let page = self.fetch().await;
            self.page = page.map_err(|error| self.failed("cannot fetch events", error))?.into_iter();
        }
        Ok(self.has_page())
    }

    async fn next_unchecked(&mut self) -> Result<Option<Event>, Error> {
        if self.connections.lock_is_lost() {
            return Err(self.at().add_to(Error::failed(LOCK_LOST)));
        }
        self.wait_for_page().await?;
        let event = self.page.next();
        self.read += u64::from(event.is_some());
        Ok(event)
    }

    async fn fetch(&mut self) -> Result<Vec<Event>, BoxError> {
        let Batch { connections, opening, reader, .. } = self;
        let begins = reader.begins(opening);
        // A page that is given up amid its transaction must be rolled back.
        connections.has_begun |= begins;
        let page = reader.fetch(connections, opening).await?;
        connections.has_begun &= !begins;
        reader.fetch_ahead(connections, opening).await?;
        page.first().map_or(Ok(()), require_types)?;
        Ok(page.into_iter().map(Event::new).collect())
    }

    /// Tags an event for retry: it is delivered again to this consumer, in a batch after `delay` at the earliest,
    /// rounded up to a second. Of several tags of an event the last one counts. After as many retries as a
    /// [`RetryPolicy`](crate::RetryPolicy) allows, it is tagged as failed instead. PgQ: `pgq.event_retry`.
    pub fn retry(&mut self, event: &Event, delay: Duration) {
        self.settle(event, Outcome::Retry(delay));
    }

    /// Tags an event as failed: it goes to the consumer's failed events, with a reason.
    pub fn fail(&mut self, event: &Event, reason: impl Into<String>) {
        self.settle(event, Outcome::Failed(reason.into()));
    }

    /// Tags an event as an outcome says, where a retry that the [`RetryPolicy`](crate::RetryPolicy) does not allow any
    /// more is a failure.
    pub fn settle(&mut self, event: &Event, outcome: Outcome) {
        let outcome = match self.policy() {
            Some(policy) => policy.limited(event.retry(), outcome),
            None => outcome,
        };
        self.tag(event, outcome);
    }

    pub(super) fn tag(&mut self, event: &Event, outcome: Outcome) {
        self.reports.settled(event, &outcome);
        match outcome {
            Outcome::Done => {}
            Outcome::Retry(delay) => self.tags.retry(Tagged::new(event), delay),
            Outcome::Failed(reason) => self.tags.fail(Tagged::new(event), reason),
        }
    }

    /// Waits until the consumer's lock is lost, and returns the error; for ever if no connection of its own holds it.
    pub(super) fn lock_lost(&self) -> impl Future<Output = Error> + Send + 'static {
        let lost = self.connections.guard.as_ref().map(Guard::lost);
        let error = self.at().add_to(Error::failed(LOCK_LOST));
        async move {
            match lost {
                Some(lost) => lost.await,
                None => pending().await,
            }
            error
        }
    }

    /// Notes that a handler of one event starts.
    pub(super) fn start_handler(&mut self) {
        if self.policy().is_some() {
            self.savepoints.start();
        }
    }

    /// Settles an event whose handler has ended. When the handler failed and there is a policy, what it wrote through
    /// [`db`](Batch::db) is rolled back, and the policy decides the outcome.
    ///
    /// # Errors
    ///
    /// The error of the handler without a policy, when its transaction cannot continue, and when the event is not at
    /// fault.
    pub(super) async fn end_handler(
        &mut self,
        event: &Event,
        span: &EventSpan,
        result: Result<Outcome, BoxError>,
    ) -> Result<(), BoxError> {
        let settled = match self.policy().cloned() {
            None => result,
            Some(policy) => self.settled_under(&policy, event, span, result).await,
        };
        span.ended(&settled);
        let outcome = settled.map_err(|error| self.handler_failed(event, error))?;
        self.tag(event, outcome);
        Ok(())
    }

    /// Rolls back what a handler wrote; returns whether the batch can go on.
    async fn roll_back(&mut self, savepoint: Savepoint) -> Result<bool, Error> {
        if savepoint == Savepoint::Wanted {
            return Ok(true);
        }
        let main = self.connections.main()?;
        Ok(self.savepoints.roll_back(savepoint, Some(main)).await)
    }

    async fn settled_under(
        &mut self,
        policy: &RetryPolicy,
        event: &Event,
        span: &EventSpan,
        result: Result<Outcome, BoxError>,
    ) -> Result<Outcome, BoxError> {
        let savepoint = self.savepoints.end();
        let error = match result {
            Ok(outcome) => return Ok(policy.limited(event.retry(), outcome)),
            Err(error) if is_no_events_fault(&*error) => return Err(error),
            Err(error) => error,
        };
        if !self.roll_back(savepoint).await? {
            return Err(error);
        }
        self.report_failed(event, &*error);
        let outcome = policy.outcome(event.retry(), &describe_in_full(&*error));
        span.failed(&*error, &outcome);
        Ok(outcome)
    }

    /// Logs why a handler failed.
    pub(super) fn report_failed(&mut self, event: &Event, error: &(dyn StdError + 'static)) {
        let Batch { connections, reports, .. } = self;
        reports.failed(&connections.subscription.settings().queue, event, error);
    }

    pub(super) fn policy(&self) -> Option<&RetryPolicy> {
        self.connections.subscription.settings().retry_policy.as_ref()
    }

    /// Makes the error of an event whose handler failed. A handler that does not fit the settings stays one.
    pub(super) fn handler_failed(&self, event: &Event, error: BoxError) -> Error {
        let what = "cannot process the event";
        let step = match Error::is_misconfigured(&*error) {
            true => Error::misconfigured(what),
            false => Error::failed(what),
        };
        self.at().add_to(step).at_event(event.id()).caused_by(error)
    }

    /// Returns the connection whose transaction finishes the batch: what is written there is committed together with
    /// the batch.
    ///
    /// Neither commit nor roll the transaction back by SQL: the batch goes with it.
    ///
    /// # Errors
    ///
    /// With [`Settings::autocommit`](crate::Settings::autocommit), where no transaction is open, and for events of a
    /// [`FakeQueue`](crate::testing::FakeQueue) ([`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), which ends
    /// a worker); and when the server fails.
    pub async fn db(&mut self) -> Result<&Client, Error> {
        if self.connections.subscription.settings().autocommit {
            let what = "no transaction is open: the consumer runs with autocommit, or without a server";
            return Err(Error::misconfigured(what));
        }
        let main = self.connections.main()?;
        self.savepoints.set(main).await;
        Ok(main.client())
    }

    async fn send_tags(&mut self) -> Result<(), Error> {
        let sent = self.try_send_tags().await;
        sent.map_err(|error| self.at().add_to(error))
    }

    /// Sends tags before the end of the batch: in the batch's transaction, or in one of their own if the server takes
    /// them all at once.
    async fn try_send_tags(&mut self) -> Result<(), Error> {
        const FAILED: &str = "cannot tag events";
        let failed = |error: BoxError| Error::failed(FAILED).caused_by(error);
        let Batch { connections, opening, holder, tags, .. } = self;
        if !connections.subscription.settings().autocommit {
            tag(connections.main()?, opening, holder, tags).await?;
            let restored = opening.limits.restore(connections.main()?).await;
            restored.map_err(|error| failed(error.into()))?;
        } else if opening.tags_many {
            connections.begin().await.map_err(failed)?;
            tag(connections.main()?, opening, holder, tags).await?;
            connections.commit().await.map_err(failed)?;
        } else {
            return Ok(());
        }
        tags.forget_sent();
        Ok(())
    }

    /// Sends the tags, finishes the batch and commits. PgQ: `pgq.finish_batch`.
    ///
    /// A future that is dropped has committed all of it or nothing; in the second case the batch is delivered again.
    ///
    /// # Errors
    ///
    /// When the batch is another process's by now, and when the server fails. Unless the connection was lost amid the
    /// commit, nothing is committed, and the batch is delivered again.
    pub async fn commit(mut self) -> Result<(), Error> {
        let committed = self.try_commit().await;
        committed.map_err(|error| self.at().add_to(error))
    }

    async fn try_commit(&mut self) -> Result<(), Error> {
        if let Some(ledger) = &self.ledger {
            ledger.enter(self.read, std::mem::take(&mut self.tags));
            return Ok(());
        }
        let failed = |what: &str, error: BoxError| Error::failed(what).caused_by(error);
        let Batch { connections, opening, holder, tags, reader, .. } = self;
        reader.stop();
        if connections.subscription.settings().autocommit {
            connections.begin().await.map_err(|error| failed("cannot start a transaction", error))?;
        }
        if finish(connections.main()?, opening, holder, tags).await? != 1 {
            return Err(holder::gone());
        }
        connections.commit().await.map_err(|error| failed("cannot commit the batch", error))?;
        self.span.finished(&self.delivered());
        Ok(())
    }

    pub(super) fn span(&self) -> &BatchSpan {
        &self.span
    }

    /// Returns queue, consumer and batch, for errors.
    pub(super) fn at(&self) -> At<'_> {
        self.holder.at()
    }

    fn failed(&self, what: &str, cause: BoxError) -> Error {
        self.at().failed(what, cause)
    }
}

/// Returns whether an error would come with any other event, too.
pub(super) fn is_no_events_fault(error: &(dyn StdError + 'static)) -> bool {
    is_interrupted(error) || is_final(error) || Error::is_misconfigured(error)
}
