//! An open batch, as asynchronous code sees it.

use std::error::Error as StdError;
use std::time::Duration;
use std::vec::IntoIter;

use chrono::{DateTime, Utc};
use dbscript::{BoxError, describe_in_full};
use postgres::Row;
use tokio_postgres::Client;

use super::connections::{Opened, Turn};
use super::origin::Origin;
use super::reader::Reader;
use crate::consume::delivered::Delivered;
use crate::consume::failures::Reports;
use crate::consume::finish::{finish, tag};
use crate::consume::holder::{self, BatchHolder};
use crate::consume::outcome::Outcome;
use crate::consume::read::opening::Opening;
use crate::consume::redeliver::is_no_events_fault;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::savepoints::Savepoints;
use crate::consume::tags::{Tagged, Tags};
use crate::error::{At, Error};
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::{Event, require_types};

/// The events of a batch, and their outcomes.
///
/// [`commit`](Batch::commit) finishes the batch. A batch that is dropped stays open: what was written through
/// [`db`](Batch::db) is rolled back, and the batch is delivered again.
pub struct Batch {
    connections: Turn,
    info: BatchInfo,
    opened_at: DateTime<Utc>,
    holder: BatchHolder,
    opening: Opening,
    reader: Reader,
    page: IntoIter<Row>,
    tags: Tags,
    savepoints: Savepoints,
    reports: Reports,
    read: u64,
}

impl Batch {
    pub(super) fn new(connections: Turn, opened: Opened, reports: Reports) -> Batch {
        let settings = connections.subscription.settings();
        let reader = Reader::new(settings.autocommit, settings.lazy_fetch);
        let Opened { info, opened_at, holder, opening } = opened;
        Batch {
            connections,
            info,
            opened_at,
            holder,
            opening,
            reader,
            page: Vec::new().into_iter(),
            tags: Tags::default(),
            savepoints: Savepoints::default(),
            reports,
            read: 0,
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
        Origin::new(self.connections.subscription.settings(), &self.info, self.opened_at)
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
            self.tag(&event, outcome);
        }
    }

    fn unreadable(&self, event: &Event) -> Option<&'static str> {
        if self.opening.has_bytes { event.unreadable() } else { None }
    }

    async fn next_unchecked(&mut self) -> Result<Option<Event>, Error> {
        if self.page.len() == 0 {
            let page = self.fetch().await;
            self.page = page.map_err(|error| self.failed("cannot fetch events", error))?.into_iter();
        }
        let event = self.page.next().map(Event::new);
        self.read += u64::from(event.is_some());
        Ok(event)
    }

    async fn fetch(&mut self) -> Result<Vec<Row>, BoxError> {
        let Batch { connections, opening, reader, .. } = self;
        let is_alone = connections.subscription.settings().autocommit && opening.needs_transaction();
        // A page that is given up amid its transaction must be rolled back.
        connections.has_begun |= is_alone;
        let page = reader.fetch(connections.main()?, opening).await?;
        connections.has_begun &= !is_alone;
        page.first().map_or(Ok(()), require_types)?;
        Ok(page)
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
        result: Result<Outcome, BoxError>,
    ) -> Result<(), BoxError> {
        let Some(policy) = self.policy().cloned() else {
            let outcome = result.map_err(|error| self.handler_failed(event, error))?;
            self.tag(event, outcome);
            return Ok(());
        };
        let savepoint = self.savepoints.end();
        let outcome = match result {
            Ok(outcome) => policy.limited(event.retry(), outcome),
            Err(error) if is_no_events_fault(&*error) => {
                return Err(self.handler_failed(event, error).into());
            }
            Err(error) => {
                let main = self.connections.main()?;
                if !self.savepoints.roll_back(savepoint, Some(main)).await {
                    return Err(self.handler_failed(event, error).into());
                }
                self.report_failed(event, &*error);
                policy.outcome(event.retry(), &describe_in_full(&*error))
            }
        };
        self.tag(event, outcome);
        Ok(())
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
    /// With [`Settings::autocommit`](crate::Settings::autocommit), where no transaction is open
    /// ([`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), which ends a worker), and when the server fails.
    pub async fn db(&mut self) -> Result<&Client, Error> {
        if self.connections.subscription.settings().autocommit {
            return Err(Error::misconfigured("no transaction is open: the consumer runs with autocommit"));
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
        let failed = |what: &str, error: BoxError| Error::failed(what).caused_by(error);
        let Batch { connections, opening, holder, tags, reader, .. } = self;
        reader.stop();
        if connections.subscription.settings().autocommit {
            connections.begin().await.map_err(|error| failed("cannot start a transaction", error))?;
        }
        if finish(connections.main()?, opening, holder, tags).await? != 1 {
            return Err(holder::gone());
        }
        connections.commit().await.map_err(|error| failed("cannot commit the batch", error))
    }

    /// Returns queue, consumer and batch, for errors.
    pub(super) fn at(&self) -> At<'_> {
        self.holder.at()
    }

    fn failed(&self, what: &str, cause: BoxError) -> Error {
        self.at().failed(what, cause)
    }
}
