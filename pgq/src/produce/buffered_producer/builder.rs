//! The options of a buffered producer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dbscript::Backoff;

use super::BufferedProducer;
use super::handle::Handle;
use super::pending_events::{BufferLimits, PendingEvents};
use super::shared::Shared;
use super::writer::{DB, Writer, own};
use crate::error::Error;

/// Default of [`max_events`](BufferedProducerBuilder::max_events).
pub const DEFAULT_MAX_EVENTS: usize = 10_000;
/// Default of [`max_bytes`](BufferedProducerBuilder::max_bytes): 16 MiB.
pub const DEFAULT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Default of [`max_delay`](BufferedProducerBuilder::max_delay).
pub const DEFAULT_MAX_DELAY: Duration = Duration::from_millis(100);
/// Default of [`patience`](BufferedProducerBuilder::patience).
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(20);
/// The random part of each delay.
const JITTER: f64 = 0.2;

/// The options of a [`BufferedProducer`]; [`spawn`](BufferedProducerBuilder::spawn) starts it.
///
/// Messages omit the connection string.
pub struct BufferedProducerBuilder {
    worker: dbscript::Worker,
    queue: String,
    limits: BufferLimits,
    patience: Duration,
}

impl BufferedProducerBuilder {
    pub(super) fn new(conninfo: &str, queue: &str) -> BufferedProducerBuilder {
        let job = format!("{queue}/producer");
        // The pending events decide when to retry.
        let worker = dbscript::Worker::new(&job)
            .database(DB, conninfo)
            .exception_sleep(Duration::ZERO)
            .pin_search_path();
        let limits = BufferLimits {
            events: DEFAULT_MAX_EVENTS,
            bytes: DEFAULT_MAX_BYTES,
            delay: DEFAULT_MAX_DELAY,
            retry: retry(FIRST_RETRY, LONGEST_RETRY),
        };
        BufferedProducerBuilder { worker, queue: queue.to_owned(), limits, patience: DEFAULT_PATIENCE }
    }

    /// Sets how many events are held, including those that are being written. A transaction inserts at most half of
    /// this number. Defaults to 10,000.
    pub fn max_events(mut self, events: usize) -> BufferedProducerBuilder {
        self.limits.events = events.max(1);
        self
    }

    /// Sets the memory of the held events, in bytes. A transaction inserts about half of it. A larger event is held
    /// alone. Defaults to 16 MiB.
    pub fn max_bytes(mut self, bytes: usize) -> BufferedProducerBuilder {
        self.limits.bytes = bytes;
        self
    }

    /// Sets how long an event waits for others before it is written. Defaults to 100 milliseconds.
    pub fn max_delay(mut self, delay: Duration) -> BufferedProducerBuilder {
        self.limits.delay = delay;
        self
    }

    /// Sets the delays between retries of a failed transaction: `first`, then twice the delay before, up to `longest`,
    /// plus a random part of up to 20 %. While a [`flush`](BufferedProducer::flush) or a
    /// [`close`](BufferedProducer::close) waits, every delay is the first. Defaults to 0.1 and 20 seconds.
    pub fn retry_delays(mut self, first: Duration, longest: Duration) -> BufferedProducerBuilder {
        self.limits.retry = retry(first, longest);
        self
    }

    /// Sets for how long [`flush`](BufferedProducer::flush) and [`close`](BufferedProducer::close) wait for a server
    /// that is slow or not reachable. Dropping the last clone waits for at most 5 seconds. Defaults to 60 seconds.
    pub fn patience(mut self, patience: Duration) -> BufferedProducerBuilder {
        self.patience = patience;
        self
    }

    /// Sets the name of the connection on the server. Defaults to `QUEUE/producer`.
    pub fn application_name(mut self, name: &str) -> BufferedProducerBuilder {
        self.worker = self.worker.application_name(name);
        self
    }

    /// Connects, checks that the queue exists and that the role may insert into its tables, and starts the thread.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, PgQ or the queue is missing
    /// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), the role may not insert (the error contains the `GRANT`
    /// statements), or no thread can be started.
    pub fn spawn(self) -> Result<BufferedProducer, Error> {
        let shared = Arc::new(Shared::new(PendingEvents::new(&self.queue, self.limits)));
        let writer = Writer { queue: self.queue.clone(), shared: shared.clone() };
        let worker = self.worker.spawn(writer);
        let worker = worker.map_err(|error| own("cannot start the producer", error).on_queue(&self.queue))?;
        Ok(BufferedProducer(Arc::new(Handle::new(self.queue, shared, self.patience, worker))))
    }
}

impl fmt::Debug for BufferedProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedProducerBuilder").field("queue", &self.queue).finish_non_exhaustive()
    }
}

fn retry(first: Duration, longest: Duration) -> Backoff {
    Backoff::exponential(first, longest).jitter(JITTER)
}
