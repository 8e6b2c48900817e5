//! A consumer on a thread of its own, inside any program.

use std::sync::Arc;
use std::time::Duration;

use dbscript::{Backoff, BoxError, Control, Totals};

use crate::consume::hooks::Hooks;
use crate::consume::run::consumer_loop::ConsumerLoop;
use crate::consume::run::delivery::Delivery;
use crate::consume::run::health::{Health, HealthProbe};
use crate::consume::run::subscription::Subscription;
use crate::consume::settings::Settings;
use crate::error::Error;

/// The name of the queue's database in the worker's context, and in its messages.
const DB: &str = "queue database";

/// The waits after failed rounds. Programs wait for `exception_sleep`.
const EXCEPTION_BACKOFF: Backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(20));

/// Describes a consumer that runs beside the rest of a program. It touches nothing global: no signals, no
/// logger (it logs through [`log`]), no files.
///
/// Messages never show the connection string.
pub struct Worker {
    worker: dbscript::Worker,
    settings: Settings,
    hooks: Option<Arc<dyn Hooks>>,
    health: HealthProbe,
}

impl Worker {
    /// Describes a worker. The connection string is libpq's, environment variables included.
    pub fn new(conninfo: &str, queue: &str, consumer: &str) -> Worker {
        Worker::with_settings(conninfo, Settings::new(queue, consumer))
    }

    /// Describes a worker by its consumer's settings.
    pub fn with_settings(conninfo: &str, settings: Settings) -> Worker {
        let job = format!("{}/{}", settings.queue, settings.consumer);
        let worker = dbscript::Worker::new(&job)
            .application_name(&settings.consumer)
            .database(DB, conninfo)
            .exception_backoff(EXCEPTION_BACKOFF)
            .log_target("pgq::worker");
        Worker { worker, settings, hooks: None, health: HealthProbe::default() }
    }

    /// Adds a database for the delivery to use, under a name.
    pub fn database(mut self, name: &str, conninfo: &str) -> Worker {
        self.worker = self.worker.database(name, conninfo);
        self
    }

    /// Sets how long to sleep when there is no batch. Defaults to one second.
    pub fn loop_delay(mut self, delay: Duration) -> Worker {
        self.worker = self.worker.loop_delay(delay);
        self
    }

    /// Sets how long to wait after a failed batch. Defaults to one second after the first failure in a row, and twice as
    /// long after each further one, up to 20 seconds.
    pub fn exception_sleep(mut self, delay: Duration) -> Worker {
        self.worker = self.worker.exception_sleep(delay);
        self
    }

    /// Sets the age at which connections are closed and opened anew, between batches. Defaults to 20 minutes.
    pub fn connection_lifetime(mut self, lifetime: Duration) -> Worker {
        self.worker = self.worker.connection_lifetime(lifetime);
        self
    }

    /// Attaches the hooks that receive the consumer's progress.
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> Worker {
        self.hooks = Some(hooks);
        self
    }

    /// Returns the handle that stops the worker, also while [`spawn`](Worker::spawn) waits for its startup.
    pub fn control(&self) -> Control {
        self.worker.control()
    }

    /// Connects, registers the consumer and starts the thread; returns when the worker is up. Takes a
    /// [`Consumer`](crate::Consumer), or another kind of consumer.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, PgQ or the queue is missing, or no thread can be started.
    pub fn spawn(self, consumer: impl Delivery + Send + 'static) -> Result<WorkerHandle, Error> {
        let health = self.health.clone();
        let (worker, script) = self.parts(consumer);
        worker.spawn(script).map(|worker| WorkerHandle { worker, health }).map_err(ended)
    }

    /// Takes at most one batch, on this thread, and returns what was done: for tests, and for programs that something
    /// else starts again and again.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Worker::spawn), when another process is at work under this name
    /// ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), and when the batch fails.
    pub fn run_once(self, consumer: impl Delivery) -> Result<Totals, Error> {
        let (worker, script) = self.parts(consumer);
        worker.one_round().run(script).map_err(ended)
    }

    /// Takes batches, on this thread, until there is none, and returns what was done.
    ///
    /// # Errors
    ///
    /// As [`run_once`](Worker::run_once).
    pub fn drain(self, consumer: impl Delivery) -> Result<Totals, Error> {
        let (worker, script) = self.parts(consumer);
        worker.until_idle().run(script).map_err(ended)
    }

    fn parts<D: Delivery>(self, delivery: D) -> (dbscript::Worker, ConsumerLoop<D>) {
        let script =
            ConsumerLoop::new(DB, Subscription::new(self.settings), delivery).for_service(self.health);
        (self.worker, self.hooks.into_iter().fold(script, ConsumerLoop::hooks))
    }
}

/// A running worker. Dropping it stops the worker and waits for the current batch, for a few seconds at most
/// ([`dbscript::DROP_LIMIT`]); a batch that takes longer is aborted. [`join`](WorkerHandle::join) waits however long
/// the batch takes.
pub struct WorkerHandle {
    worker: dbscript::WorkerHandle,
    health: HealthProbe,
}

impl WorkerHandle {
    /// Asks the worker to end after the current batch.
    pub fn stop(&self) {
        self.worker.stop();
    }

    /// Asks the worker to end after the current batch, and waits for that; a batch that takes longer than `limit` is
    /// [aborted](WorkerHandle::abort).
    ///
    /// Returns whether the worker has ended: code of the consumer that is busy with something else cannot be
    /// interrupted.
    pub fn stop_within(&self, limit: Duration) -> bool {
        self.worker.stop_within(limit)
    }

    /// Asks the worker to end now: the running statement is cancelled and the current batch rolled back.
    ///
    /// Returns whether the worker has ended, after three quarters of a second at most: code of the consumer
    /// that is busy with something else cannot be interrupted.
    pub fn abort(&self) -> bool {
        self.worker.abort()
    }

    /// Returns what the worker has done so far; a batch is a round, and events count as `count`.
    pub fn totals(&self) -> Totals {
        self.worker.totals()
    }

    /// Returns the state of the worker: idle, working, standing by, failing, or waiting for ticks that do not come.
    ///
    /// A handler that hangs keeps the worker [`Working`](Health::Working); the time of the last successful round is in
    /// [`totals`](WorkerHandle::totals).
    pub fn health(&self) -> Health {
        if self.is_finished() { Health::Stopped } else { self.health.get() }
    }

    /// Returns whether the worker has ended.
    pub fn is_finished(&self) -> bool {
        self.worker.is_finished()
    }

    /// Waits for the worker to end.
    ///
    /// # Errors
    ///
    /// The error that ended the worker, if any.
    pub fn join(self) -> Result<(), Error> {
        self.worker.join().map_err(ended)
    }
}

fn ended(error: BoxError) -> Error {
    Error::of_part("the worker failed", error)
}
