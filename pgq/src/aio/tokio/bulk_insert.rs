//! Inserts events by COPY, one after the other.

use dbscript::param::{boolean, text};
use std::marker::PhantomData;
use std::pin::Pin;

use chrono::{DateTime, Utc};
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;

use crate::error::{At, Error};
use crate::event::new_event::NewEvent;
use crate::produce::bulk_insert::{TYPES, failed, row};
use crate::produce::copy::{EventTable, TransactionUse, found_read_committed, found_table, rotated};
use crate::produce::delayed;
use crate::sql;
use crate::sql::batch::Ids;
use crate::time::Time;

/// Streams events into a queue by COPY. See [`BulkInsert`](crate::BulkInsert).
///
/// ```no_run
/// # async fn copy(
/// #     client: &mut tokio_postgres::Client,
/// #     mut names: tokio::sync::mpsc::Receiver<String>,
/// # ) -> Result<(), pgq::BoxError> {
/// let transaction = client.transaction().await?;
/// let mut bulk = pgq::tokio::BulkInsert::start(&transaction, "names").await?;
/// while let Some(name) = names.recv().await {
///     bulk.write(&pgq::NewEvent::new("new", &name)).await?;
/// }
/// bulk.finish().await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// If it is dropped before [`finish`](BulkInsert::finish), the transaction fails. The role needs the right to `INSERT`
/// into the event table.
///
/// [`write`](BulkInsert::write) is not cancel-safe: events are sent in groups, and a future that is dropped before it is
/// done loses earlier events. From then on `write`, `finish` and the transaction fail, so that none of its events is
/// inserted. In `tokio::select!`, await the source of the events in the branch, and write in its body.
pub struct BulkInsert<'a> {
    writer: Pin<Box<BinaryCopyInWriter>>,
    queue: String,
    now: DateTime<Utc>,
    /// Whether a write has begun and not ended.
    is_broken: bool,
    /// The table is the right one until the transaction ends.
    transaction: PhantomData<&'a ()>,
}

impl<'a> BulkInsert<'a> {
    /// Starts a COPY. The events belong to the transaction.
    ///
    /// # Errors
    ///
    /// When the queue does not exist or is disabled, and when the server fails.
    pub async fn start(transaction: &'a Transaction<'_>, queue: &str) -> Result<BulkInsert<'a>, Error> {
        let EventTable { table, now, .. } = event_table(transaction, queue).await?;
        let sink = transaction
            .copy_in(&*sql::batch::copy_in(&table, Ids::New))
            .await
            .map_err(|error| failed(queue, error))?;
        let writer = Box::pin(BinaryCopyInWriter::new(sink, &TYPES));
        Ok(BulkInsert { writer, queue: queue.to_owned(), now, is_broken: false, transaction: PhantomData })
    }

    /// Writes an event. Events are sent in groups, so an error may belong to an earlier event.
    ///
    /// # Errors
    ///
    /// When the server fails, after the future of a write was dropped before it was done, and for a
    /// [delayed](NewEvent::at) event ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
    pub async fn write(&mut self, event: &NewEvent<'_>) -> Result<(), Error> {
        self.require_whole()?;
        if event.at.is_some() {
            return Err(delayed::refused(&self.queue));
        }
        let time = Time(event.time.unwrap_or(self.now));
        self.is_broken = true;
        let written = self.writer.as_mut().write(&row(event, &time)).await;
        self.is_broken = false;
        written.map_err(|error| failed(&self.queue, error))
    }

    /// Ends the COPY; returns the number of events.
    ///
    /// # Errors
    ///
    /// When the server fails, and after the future of a write was dropped before it was done; the transaction then
    /// fails, too.
    ///
    /// If this future is dropped, the events may or may not be in the transaction: roll it back.
    pub async fn finish(mut self) -> Result<u64, Error> {
        self.require_whole()?;
        self.writer.as_mut().finish().await.map_err(|error| failed(&self.queue, error))
    }

    fn require_whole(&self) -> Result<(), Error> {
        let what = "cannot insert events: an earlier write was cancelled, and its events are lost";
        if self.is_broken { Err(At::queue(&self.queue).failure(what)) } else { Ok(()) }
    }
}

/// Returns the table of a queue's new events. It is the right one until the transaction ends.
async fn event_table(transaction: &Transaction<'_>, queue: &str) -> Result<EventTable, Error> {
    let answer = transaction.query_typed_opt(sql::EVENT_TABLE_READ_COMMITTED, &[text(&queue)]).await;
    if let Some(found) = found_read_committed(queue, answer)? {
        return Ok(found);
    }
    let [lifts, waits] = TransactionUse::Shared.settings();
    let values = [text(&queue), boolean(&lifts), boolean(&waits)];
    let answer = transaction.query_typed_opt(sql::CURRENT_EVENT_TABLE, &values).await;
    match found_table(queue, answer)? {
        Some(found) => Ok(found),
        None => Err(rotated(queue, transaction.batch_execute(&sql::rotated(queue)).await)),
    }
}
