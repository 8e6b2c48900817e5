//! An open batch, as asynchronous code sees it.

mod commit;
mod fake;
mod handler;
#[cfg(feature = "sqlx")]
mod handler_in;

use std::future::{Future, pending};
use std::time::Duration;
use std::vec::IntoIter;

use chrono::{DateTime, Utc};
use dbscript::BoxError;
use futures_util::stream::{self, Stream};

pub(crate) use self::fake::Ledger;
use super::connections::{Opened, Turn};
use super::guard::Guard;
use super::heartbeat_task::HeartbeatTask;
use super::origin::Origin;
use super::reader::Reader;
use crate::consume::delivered::Delivered;
use crate::consume::failures::Reports;
use crate::consume::holder::BatchHolder;
use crate::consume::outcome::Outcome;
use crate::consume::read::opening::Opening;
use crate::consume::savepoints::Savepoints;
use crate::consume::spans::BatchSpan;
use crate::consume::tags::{Tagged, Tags};
use crate::error::{At, Error};
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::{Event, require_types};

/// The error of a batch whose consumer's lock is lost: another process may handle the batch already.
const LOCK_LOST: &str = "lost the consumer's lock";

/// The events of a batch, and their outcomes.
///
/// [`commit`](Batch::commit) finishes the batch, [`commit_in`](Batch::commit_in) does so in a transaction of the caller. A
/// batch that is dropped stays open: writes through [`db`](Batch::db) are rolled back, and the batch is delivered again.
///
/// The tags of a batch that [`Worker::batches`](super::Worker::batches) has returned stay in memory until its end, less
/// than 100 bytes each and the reasons of failures, unless [`db`](Batch::db) was used.
pub struct Batch {
    connections: Turn,
    info: BatchInfo,
    opened_at: DateTime<Utc>,
    holder: BatchHolder,
    opening: Opening,
    reader: Reader,
    page: IntoIter<Event>,
    tags: Tags,
    savepoints: Savepoints,
    reports: Reports,
    read: u64,
    /// Whether an event could not be read, so that the batch must not be finished.
    is_unread: bool,
    /// Whether the transaction on the connection of the batch was used.
    uses_db: bool,
    /// Whether tags may be sent before the batch ends, since it ends on its own connection.
    sends_tags: bool,
    /// Receives the outcome of a batch that no server has.
    ledger: Option<Ledger>,
    /// Keeps other subconsumers from taking the batch over.
    heartbeats: Option<HeartbeatTask>,
    span: BatchSpan,
}

impl Batch {
    pub(super) fn new(connections: Turn, opened: Opened, reports: Reports) -> Batch {
        let settings = connections.subscription.settings();
        let reader = Reader::new(settings);
        let Opened { info, opened_at, holder, opening } = opened;
        Batch {
            span: BatchSpan::new(settings, &info),
            heartbeats: connections.start_heartbeats(),
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
            is_unread: false,
            uses_db: false,
            sends_tags: false,
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
    /// A future that is dropped loses no event: the next call returns the event. After an error of the server the batch
    /// cannot be committed: drop the batch, and it is delivered again.
    ///
    /// # Errors
    ///
    /// When the server fails. An event whose text is not UTF-8, which a database with encoding SQL_ASCII may hold, is an
    /// error that names event and column; with a [`RetryPolicy`](crate::RetryPolicy), the event is tagged as the policy
    /// says, and the one after it is returned.
    pub async fn next_event(&mut self) -> Result<Option<Event>, Error> {
        loop {
            // Tags that a handler sends would be rolled back together with its writes.
            if (self.sends_tags || self.uses_db) && self.tags.are_many() && !self.savepoints.are_in_use() {
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
        self.tag(event, outcome);
    }

    /// Returns the events that are left as a stream, which ends after an error.
    ///
    /// Futures of the stream can be dropped: the next one returns the event.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn read(mut batch: pgq::aio::Batch) -> Result<(), pgq::Error> {
    /// let mut events = batch.events();
    /// while let Some(event) = events.try_next().await? {
    ///     println!("{}", event.id());
    /// }
    /// drop(events);
    /// batch.commit().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`next_event`](Batch::next_event).
    pub fn events(&mut self) -> impl Stream<Item = Result<Event, Error>> + Send + Unpin {
        Box::pin(stream::unfold(Some(self), async |batch| {
            let batch = batch?;
            let event = batch.next_event().await.transpose()?;
            let rest = event.is_ok().then_some(batch);
            Some((event, rest))
        }))
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
            self.is_unread |= page.is_err();
            self.page = page.map_err(|error| self.failed("cannot fetch events", error))?.into_iter();
        }
        Ok(self.has_page())
    }

    async fn next_unchecked(&mut self) -> Result<Option<Event>, Error> {
        if self.connections.lock_is_lost() {
            self.is_unread = true;
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

    /// Lets tags be sent before the batch ends: [`commit`](Batch::commit) is going to finish it.
    pub(super) fn send_tags_early(&mut self) {
        self.sends_tags = true;
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

    /// Waits until the consumer's lock is lost, and returns the error. Never ends if the lock has no connection of its own.
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

    pub(in crate::aio) fn span(&self) -> &BatchSpan {
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
