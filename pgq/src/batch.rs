//! An open batch, as a consumer sees it.

use std::time::Duration;

use postgres::types::{ToSql, Type};
use postgres::{Client, GenericClient, Transaction};

use crate::{BatchInfo, Error, Event, Events, Subscription, sql};

/// The events of a batch and what is to become of them.
///
/// The batch, its retries and what the consumer writes through [`db`](Batch::db) are committed together by
/// [`finish`](Batch::finish). Dropped, the batch stays open and is delivered again.
pub struct Batch<'a> {
    events: Events<'a>,
    retries: Vec<(i64, i32)>,
    retried: u64,
}

impl<'a> Batch<'a> {
    /// Starts a transaction to process the batch in.
    ///
    /// # Errors
    ///
    /// As [`Events::open`].
    pub fn open(
        client: &'a mut Client,
        subscription: &Subscription,
        info: BatchInfo,
    ) -> Result<Batch<'a>, Error> {
        Ok(Batch { events: Events::open(client, subscription, info)?, retries: Vec::new(), retried: 0 })
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
        self.retried
    }

    /// Returns the next event, or `None` at the end of the batch.
    ///
    /// # Errors
    ///
    /// As [`Events::next_event`].
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        if self.events.is_page_read() {
            self.send_retries()?;
        }
        self.events.next_event()
    }

    /// Tags an event for retry: it comes back to this consumer, in a batch after `delay` at the earliest.
    /// PgQ: `pgq.event_retry`, which looks through the whole batch for each event.
    pub fn retry(&mut self, event: &Event, delay: Duration) {
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX);
        self.retries.push((event.id(), seconds));
        self.retried += 1;
    }

    /// Returns the transaction on the queue's database in which the batch will be finished.
    ///
    /// Neither commit nor roll it back by SQL: the batch goes with it.
    pub fn db(&mut self) -> &mut Transaction<'a> {
        self.events.db()
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

    /// Sends the retries, finishes the batch and commits. PgQ: `pgq.finish_batch`.
    ///
    /// # Errors
    ///
    /// As [`Events::finish`].
    pub fn finish(mut self) -> Result<(), Error> {
        self.send_retries()?;
        self.events.finish()
    }

    /// Retries go out with each page, so that a batch of nothing but retries does not fill the memory.
    fn send_retries(&mut self) -> Result<(), Error> {
        if self.retries.is_empty() {
            return Ok(());
        }
        let (ids, seconds): (Vec<i64>, Vec<i32>) = self.retries.drain(..).unzip();
        let id = self.events.info().id;
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&id, Type::INT8), (&ids, Type::INT8_ARRAY), (&seconds, Type::INT4_ARRAY)];
        match self.events.db().query_typed(sql::RETRY_EVENTS, &values) {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = Error::failed("cannot tag events for retry").in_batch(id).caused_by(error);
                Err(error.on_queue(self.events.queue()))
            }
        }
    }
}
