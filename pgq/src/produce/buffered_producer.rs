//! Events from many threads, inserted in bulk by one.

#[cfg(feature = "tokio")]
mod asynchronous;
mod builder;
mod close_error;
mod failure_streak;
mod handle;
mod pending_events;
mod send_error;
mod shared;
mod stats;
#[cfg(feature = "tokio")]
mod unclaimed;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::builder::{
    BufferedProducerBuilder, DEFAULT_MAX_BYTES, DEFAULT_MAX_DELAY, DEFAULT_MAX_EVENTS, DEFAULT_PATIENCE,
};
pub use self::close_error::CloseError;
use self::handle::Handle;
pub use self::send_error::SendError;
pub use self::stats::ProducerStats;
use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// Inserts events from any number of threads by COPY, many in a transaction, on a thread and a connection of its own.
/// Clones share the producer.
///
/// Use it for events that stand on their own. An event that belongs to other changes of the database goes through
/// [`insert_event`](crate::insert_event), in the transaction of those changes.
///
/// ```no_run
/// use std::time::Duration;
/// use pgq::{BufferedProducer, OwnedEvent};
///
/// # fn main() -> Result<(), pgq::BoxError> {
/// let producer = BufferedProducer::builder("dbname=shop", "clicks").max_delay(Duration::from_millis(50)).spawn()?;
/// let clicks = producer.clone();
/// std::thread::spawn(move || clicks.send(OwnedEvent::new("click", "page=/basket"))).join().expect("no panic")?;
/// producer.flush()?; // all that was sent so far is committed
/// producer.close()?;
/// # Ok(())
/// # }
/// ```
///
/// - **Memory** is bounded by `max_events` and `max_bytes`, including the events that are being written. While the buffer
///   is full, [`send`](BufferedProducer::send) waits.
/// - **Order**: events get their ids in the order in which they were sent, so the events of one thread stay in order.
/// - **A failed transaction** inserts none of its events. They stay in the buffer, ahead of the others, and are retried
///   after a growing delay. The error is logged, and [`flush`](BufferedProducer::flush) and
///   [`close`](BufferedProducer::close) return it.
/// - **An event that the server refuses** because of its values, such as text that the database cannot encode, is found
///   by halving the batch. The other events are inserted. The refused event is logged, counted in
///   [`stats`](BufferedProducer::stats), and kept in the buffer until [`take_refused`](BufferedProducer::take_refused)
///   or [`close`](BufferedProducer::close) returns it. Until then, [`flush`](BufferedProducer::flush) returns an error.
/// - **A failure that lasts**, such as a dropped queue, a disabled queue or a missing right, is retried too. Until a
///   transaction succeeds, [`send`](BufferedProducer::send) accepts no more events and returns the error and the event.
/// - **No event is lost silently**: [`close`](BufferedProducer::close) returns the events that were not inserted.
///   Dropping the last clone waits for at most 5 seconds and logs their number. A process that is killed loses the
///   events in its buffer: flush before you report that an event is stored.
/// - **No event is duplicated**, unless the connection breaks between a commit and its answer. The producer cannot
///   detect whether that commit has succeeded, and inserts those events again. A consumer that must not process them
///   twice can compare a key in the event.
///
/// The role needs the right to `INSERT` into the queue's tables, as for [`BulkInsert`](crate::BulkInsert); it is
/// checked at the start. Event times are those of the transaction unless they are set.
#[derive(Clone)]
pub struct BufferedProducer(Arc<Handle>);

impl BufferedProducer {
    /// Returns the options of a producer. The connection string is libpq's, including environment variables.
    pub fn builder(conninfo: &str, queue: &str) -> BufferedProducerBuilder {
        BufferedProducerBuilder::new(conninfo, queue)
    }

    /// Adds an event to the buffer; waits while the buffer is full. The event is stored only after a later
    /// [`flush`](BufferedProducer::flush) or [`close`](BufferedProducer::close) has succeeded.
    ///
    /// # Errors
    ///
    /// When the server refuses events, when the producer is closed or has ended, and when PostgreSQL cannot store the
    /// event: a text contains the character NUL, the event is too long for a row, or its time is too early. The error
    /// contains the event.
    pub fn send(&self, event: impl Into<OwnedEvent>) -> Result<(), SendError> {
        self.0.shared.send(event.into(), None)
    }

    /// As [`send`](BufferedProducer::send), but waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`send`](BufferedProducer::send), and when the buffer stays full ([`SendError::is_full`]).
    pub fn send_timeout(&self, event: impl Into<OwnedEvent>, timeout: Duration) -> Result<(), SendError> {
        // Without a deadline if it would be too far in the future.
        self.0.shared.send(event.into(), Instant::now().checked_add(timeout))
    }

    /// As [`send`](BufferedProducer::send), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`send`](BufferedProducer::send), and when the buffer is full ([`SendError::is_full`]).
    pub fn try_send(&self, event: impl Into<OwnedEvent>) -> Result<(), SendError> {
        self.0.shared.try_send(event.into())
    }

    /// Waits until all events sent before are committed.
    ///
    /// Retries at once, and then after short delays. Waits out an outage of the server, up to
    /// [`patience`](BufferedProducerBuilder::patience).
    ///
    /// # Errors
    ///
    /// When the server refuses the events, and when the time is over. The events stay in the buffer and are retried.
    /// Also while there are [refused](BufferedProducer::take_refused) events; the others are committed then.
    pub fn flush(&self) -> Result<(), Error> {
        self.0.shared.flush(self.0.patience)
    }

    /// Accepts no more events, waits until all are committed, and ends the thread. Of several calls, the first returns
    /// the events that are left; the others return its error without events.
    ///
    /// # Errors
    ///
    /// As [`flush`](BufferedProducer::flush). The error contains the events that may not be inserted.
    pub fn close(&self) -> Result<(), CloseError> {
        self.0.close()
    }

    /// Takes the events that the server refuses because of their values, in the order in which they were sent.
    /// Afterwards [`flush`](BufferedProducer::flush) can succeed again.
    pub fn take_refused(&self) -> Vec<OwnedEvent> {
        self.0.shared.take_refused()
    }

    /// Returns the statistics since the start.
    pub fn stats(&self) -> ProducerStats {
        self.0.shared.stats()
    }
}

impl fmt::Debug for BufferedProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedProducer").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
