//! Inserting events by COPY, one after the other.

use chrono::{DateTime, Utc};
use postgres::Transaction;
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::Type;

use crate::{Error, NewEvent, copy, sql};

const TYPES: [Type; 7] =
    [Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ];

/// Writes events into a queue by COPY, without keeping them. Skytools: `pgq.bulk_insert_events`.
///
/// Dropped before it is [finished](BulkInsert::finish), it makes the transaction fail. Writing to the event
/// table takes the right to `INSERT` into it.
pub struct BulkInsert<'a> {
    writer: BinaryCopyInWriter<'a>,
    queue: String,
    now: DateTime<Utc>,
}

impl<'a> BulkInsert<'a> {
    /// Starts writing. The events belong to the transaction.
    ///
    /// # Errors
    ///
    /// When the queue does not exist or takes no events, and when the server fails.
    pub fn start(transaction: &'a mut Transaction<'_>, queue: &str) -> Result<BulkInsert<'a>, Error> {
        let (table, now) = copy::event_table(transaction, queue)?;
        let writer = transaction
            .copy_in(&*sql::copy_in(&table, false))
            .map_err(|error| Error::failed("cannot insert events").on_queue(queue).caused_by(error))?;
        Ok(BulkInsert { writer: BinaryCopyInWriter::new(writer, &TYPES), queue: queue.to_owned(), now })
    }

    /// Writes an event. It is sent with others, so an error may belong to an earlier one.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn write(&mut self, event: &NewEvent<'_>) -> Result<(), Error> {
        let [extra1, extra2, extra3, extra4] = &event.extra;
        let time = event.time.unwrap_or(self.now);
        self.writer
            .write(&[&event.event_type, &event.data, extra1, extra2, extra3, extra4, &time])
            .map_err(|error| Error::failed("cannot insert events").on_queue(&self.queue).caused_by(error))
    }

    /// Ends writing; returns how many events there were.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn finish(self) -> Result<u64, Error> {
        let failed = |error| Error::failed("cannot insert events").on_queue(&self.queue).caused_by(error);
        self.writer.finish().map_err(failed)
    }
}
