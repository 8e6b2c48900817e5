//! The events of one batch, read page by page.

use std::vec::IntoIter;

use postgres::types::{ToSql, Type};
use postgres::{Client, GenericClient, IsolationLevel, Portal, Row, Transaction};

use crate::{BatchInfo, BoxError, Error, Event, Subscription, copy, lock, sql};

/// Rows of the first page when pages are sized by bytes: few, since events may be huge.
const FIRST_PAGE: u32 = 4;
/// What later pages aim at, in bytes.
const PAGE_BYTES: u64 = 1024 * 1024;
const LARGEST_PAGE: u32 = 10_000;
/// How much larger than the last one a page may be.
const GROWTH: u32 = 8;

/// The events of an open batch, in the order of their ids.
///
/// Reads within a transaction on the source database, which holds the consumer's lock: while it lives, no
/// other process reads a batch under the same name. Dropped, it leaves the batch open, to be delivered again.
pub struct Events<'a> {
    reader: Reader,
    page: IntoIter<Row>,
    transaction: Transaction<'a>,
    info: BatchInfo,
    queue: String,
    batch_events: String,
    lazy_fetch: Option<u32>,
    read: u64,
}

/// The server's side of reading: a portal that stands where the last page ended.
enum Reader {
    Unopened,
    Open(Portal, Pages),
    Exhausted,
}

impl<'a> Events<'a> {
    /// Starts a transaction and finds out where the batch's events are.
    ///
    /// # Errors
    ///
    /// When another process has a batch of this consumer open ([`Error::is_busy`]), when the batch is
    /// finished already, and when the server fails.
    pub fn open(
        client: &'a mut Client,
        subscription: &Subscription,
        info: BatchInfo,
    ) -> Result<Events<'a>, Error> {
        let settings = subscription.settings();
        let (queue, consumer) = (&settings.queue, &settings.consumer);
        let failed =
            |error| Error::failed("cannot open the batch").on_queue(queue).in_batch(info.id).caused_by(error);
        let mut transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .start()
            .map_err(failed)?;
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&info.id, Type::INT8), (queue, Type::TEXT), (consumer, Type::TEXT)];
        let row = lock::retrying(|| {
            let row = transaction.query_typed_one(sql::OPEN_BATCH, &values)?;
            Ok(row.get::<_, bool>(0).then_some(row))
        })
        .map_err(failed)?
        .ok_or_else(|| lock::busy(consumer).on_queue(queue).in_batch(info.id))?;
        Ok(Events {
            reader: Reader::Unopened,
            page: Vec::new().into_iter(),
            batch_events: row.get(1),
            transaction,
            info,
            queue: queue.clone(),
            lazy_fetch: settings.lazy_fetch,
            read: 0,
        })
    }

    /// Returns the batch's id and ticks.
    pub fn info(&self) -> &BatchInfo {
        &self.info
    }

    /// Returns the queue's name.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Returns how many events were read so far.
    pub fn count(&self) -> u64 {
        self.read
    }

    /// Returns the next event, or `None` at the end of the batch.
    ///
    /// # Errors
    ///
    /// When the server fails. It does so, too, at text that is not UTF-8, which a database with encoding
    /// SQL_ASCII may hold.
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        let row = match self.page.next() {
            Some(row) => row,
            None => {
                self.page =
                    self.fetch().map_err(|error| self.failed("cannot fetch events", error))?.into_iter();
                match self.page.next() {
                    Some(row) => row,
                    None => return Ok(None),
                }
            }
        };
        self.read += 1;
        Ok(Some(Event::new(row)))
    }

    /// Tells whether the next event takes a round trip to the server.
    pub(crate) fn is_page_read(&self) -> bool {
        self.page.as_slice().is_empty()
    }

    /// Copies every event of the batch into a queue of another database, in order: type, data, extras and
    /// time; the target numbers them anew. Returns how many there were.
    ///
    /// The rows stream through in the server's binary format, unparsed, so neither time nor memory is spent
    /// on single events. Meant to be the batch's only reader: what was iterated before is copied too.
    ///
    /// `target` should be a transaction. Writing to the event table takes the right to `INSERT` into it.
    ///
    /// # Errors
    ///
    /// When the target queue does not exist, and when either server fails.
    pub fn copy_to(&mut self, target: &mut impl GenericClient, queue: &str) -> Result<u64, Error> {
        let copied = copy::copy_batch(&mut self.transaction, &self.batch_events, target, queue)
            .map_err(|error| self.failed(&format!("cannot copy events to queue `{queue}`"), error))?;
        self.read = copied;
        Ok(copied)
    }

    /// Returns the transaction on the source database in which the batch will be finished.
    pub(crate) fn db(&mut self) -> &mut Transaction<'a> {
        &mut self.transaction
    }

    /// Tells whether the queue knows a tick, which it forgets when all consumers are past it.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn knows_tick(&mut self, tick: i64) -> Result<bool, Error> {
        let values: [(&(dyn ToSql + Sync), Type); 2] = [(&self.queue, Type::TEXT), (&tick, Type::INT8)];
        let row = self.transaction.query_typed_one(sql::TICK_EXISTS, &values);
        row.map(|row| row.get(0)).map_err(|error| self.failed("cannot look for a tick", error.into()))
    }

    /// Finishes the batch and commits.
    ///
    /// # Errors
    ///
    /// When the batch is no longer this consumer's, and when the server fails; nothing is committed then.
    pub fn finish(mut self) -> Result<(), Error> {
        // The portal has to go while its transaction lives.
        self.reader = Reader::Exhausted;
        let failed = |what: &str| Error::failed(what).on_queue(&self.queue).in_batch(self.info.id);
        let row = self
            .transaction
            .query_typed_one(sql::FINISH_BATCH, &[(&self.info.id, Type::INT8)])
            .map_err(|error| failed("cannot finish the batch").caused_by(error))?;
        if row.get::<_, i32>(0) != 1 {
            return Err(failed("the batch was finished or moved by somebody else"));
        }
        let what = failed("cannot commit the batch");
        self.transaction.commit().map_err(|error| what.caused_by(error))
    }

    fn fetch(&mut self) -> Result<Vec<Row>, BoxError> {
        if let Reader::Unopened = self.reader {
            let statement = self.transaction.prepare_typed(&sql::events(&self.batch_events), &[])?;
            let portal = self.transaction.bind(&statement, &[])?;
            self.reader = Reader::Open(portal, Pages::new(self.lazy_fetch));
        }
        let Reader::Open(portal, pages) = &mut self.reader else {
            return Ok(Vec::new());
        };
        let rows = self.transaction.query_portal(portal, pages.rows())?;
        if pages.is_last(rows.len()) {
            self.reader = Reader::Exhausted;
        } else {
            pages.learn(&rows);
        }
        Ok(rows)
    }

    fn failed(&self, what: &str, cause: BoxError) -> Error {
        Error::failed(what).on_queue(&self.queue).in_batch(self.info.id).caused_by(cause)
    }
}

/// Decides how many rows to ask for.
struct Pages {
    fixed: bool,
    rows: u32,
}

impl Pages {
    fn new(lazy_fetch: Option<u32>) -> Pages {
        Pages { fixed: lazy_fetch.is_some(), rows: lazy_fetch.unwrap_or(FIRST_PAGE) }
    }

    /// Returns the size of the next page; 0 stands for all rows.
    fn rows(&self) -> i32 {
        i32::try_from(self.rows).unwrap_or(i32::MAX)
    }

    fn is_last(&self, rows: usize) -> bool {
        self.rows == 0 || rows < self.rows as usize
    }

    fn learn(&mut self, rows: &[Row]) {
        let bytes: u64 = rows.iter().map(|row| row.raw_size_bytes() as u64).sum();
        self.resize(rows.len() as u64, bytes);
    }

    fn resize(&mut self, rows: u64, bytes: u64) {
        if !self.fixed {
            let fitting = PAGE_BYTES * rows / bytes.max(1);
            let largest = self.rows.saturating_mul(GROWTH).min(LARGEST_PAGE);
            self.rows = u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, largest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_towards_their_size_in_bytes() {
        let mut pages = Pages::new(None);
        let mut sizes = vec![pages.rows()];
        for _ in 0..3 {
            pages.resize(pages.rows as u64, pages.rows as u64 * 128);
            sizes.push(pages.rows());
        }
        assert_eq!(sizes, [4, 32, 256, 2048]);
        pages.resize(8192, 8192 * 100_000_000);
        assert_eq!(pages.rows(), 1);
        pages.resize(1, 0);
        assert_eq!(pages.rows(), 8);
    }

    #[test]
    fn a_page_size_that_was_set_stays() {
        let mut pages = Pages::new(Some(300));
        pages.resize(300, 1);
        assert_eq!(pages.rows(), 300);
        assert!(pages.is_last(299) && !pages.is_last(300));
        assert!(Pages::new(Some(0)).is_last(1_000_000));
    }
}
