//! Events from many threads, inserted in bulk by one.

#[cfg(feature = "tokio")]
mod awaiting;
mod buffer;
mod builder;
mod close_error;
mod handle;
mod send_error;
mod shared;
mod stats;
mod trouble;
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

/// Takes events from any number of threads and inserts them by COPY, many in a transaction, on a thread and a
/// connection of its own. Clones are the same producer.
///
/// Made for events that stand for themselves: those that belong to other changes of the database go through
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
/// - **Memory** is bounded by `max_events` and `max_bytes`, what is just being written included. When the buffer
///   is full, [`send`](BufferedProducer::send) waits for the server.
/// - **Order**: events are numbered in the order in which they were sent, so those of one thread stay in order.
/// - **A failed transaction** inserts none of its events. They stay in the buffer, ahead of the others, and are
///   tried again after a delay that grows. [`flush`](BufferedProducer::flush) and
///   [`close`](BufferedProducer::close) report the error, and the log has it.
/// - **An event that the server refuses** for what it is, such as text that the database's encoding lacks, is looked for
///   by inserting half as many again and again, and set aside; the others are inserted. It is logged, counted in
///   [`stats`](BufferedProducer::stats), and [`flush`](BufferedProducer::flush) is an error until
///   [`take_refused`](BufferedProducer::take_refused) or [`close`](BufferedProducer::close) gives it back. Until then it
///   takes its place in the buffer.
/// - **A failure that time does not heal**, such as a queue that was dropped or takes no events, or a right that is
///   missing, is tried again too. But from then until a transaction succeeds,
///   nothing more is accepted: [`send`](BufferedProducer::send) returns the error and the event.
/// - **Nothing is lost silently**: what could not be inserted is given back by
///   [`close`](BufferedProducer::close), or counted in the log when the last clone is dropped without it, which waits for
///   five seconds at most. What is
///   in the buffer of a process that is killed is gone: flush before telling others that an event is safe.
/// - **Nothing is doubled**, except where the connection breaks after a commit was sent and before its answer
///   came: those events are inserted again, since nobody knows. A consumer that must not see them twice can
///   compare a key in the event.
///
/// The role needs the right to `INSERT` into the queue's tables, as for [`BulkInsert`](crate::BulkInsert), which is
/// looked for at the start. Event times are the server's at the transaction, unless they are set.
#[derive(Clone)]
pub struct BufferedProducer(Arc<Handle>);

impl BufferedProducer {
    /// Describes a producer. The connection string is libpq's, environment variables included.
    pub fn builder(conninfo: &str, queue: &str) -> BufferedProducerBuilder {
        BufferedProducerBuilder::new(conninfo, queue)
    }

    /// Takes an event; waits while the buffer is full, and while others have waited longer. It is safe only when a
    /// later [`flush`](BufferedProducer::flush) or [`close`](BufferedProducer::close) has succeeded.
    ///
    /// # Errors
    ///
    /// When the server refuses events, when the producer is closed or has ended, and when the event cannot be one: a
    /// text has the character NUL, all of it is too long for a row, or its time is before PostgreSQL's first. The
    /// error has the event.
    pub fn send(&self, event: impl Into<OwnedEvent>) -> Result<(), SendError> {
        self.0.shared.send(event.into(), None)
    }

    /// As [`send`](BufferedProducer::send), but waits no longer than this.
    ///
    /// # Errors
    ///
    /// As [`send`](BufferedProducer::send), and when the buffer stays full ([`SendError::is_full`]).
    pub fn send_timeout(&self, event: impl Into<OwnedEvent>, timeout: Duration) -> Result<(), SendError> {
        // A time too far to be named never comes.
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

    /// Waits until all that was sent before is committed.
    ///
    /// Tries at once, also where the next attempt was to come later, and again after short delays. A server that is
    /// away is waited for, up to [`patience`](BufferedProducerBuilder::patience).
    ///
    /// # Errors
    ///
    /// When the server refuses, and when the time is over. The events stay and are tried again. Also while there are
    /// events [to be taken back](BufferedProducer::take_refused); the others are committed then.
    pub fn flush(&self) -> Result<(), Error> {
        self.0.shared.flush(self.0.patience)
    }

    /// Takes no more events, waits until all are committed, and ends the thread. Of several calls, the first has
    /// the events that are left; the others have its error.
    ///
    /// # Errors
    ///
    /// As [`flush`](BufferedProducer::flush); the error has the events that are not known to be inserted.
    pub fn close(&self) -> Result<(), CloseError> {
        self.0.close()
    }

    /// Takes back the events that the server refuses for what they are, in the order in which they were sent, so that
    /// [`flush`](BufferedProducer::flush) succeeds again; none when there are none.
    pub fn take_refused(&self) -> Vec<OwnedEvent> {
        self.0.shared.take_refused()
    }

    /// Returns what was done so far.
    pub fn stats(&self) -> ProducerStats {
        self.0.shared.stats()
    }
}

impl fmt::Debug for BufferedProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedProducer").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
