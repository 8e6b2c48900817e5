//! A consumer on a thread of its own, inside any program.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dbscript::{BoxError, Context, Control, Databases, LoopSettings, RunLoop};

use crate::{Consumer, ConsumerLoop, Delivery, Error, Settings, Subscription, ToConsumer};

/// The name of the queue's database in the worker's context, and in its messages.
const DB: &str = "queue database";

/// Describes a consumer that runs beside the rest of a program. It touches nothing global: no signals, no
/// logger (it logs through [`log`]), no files.
///
/// Messages never show the connection string.
pub struct Worker {
    databases: Vec<(String, String)>,
    settings: Settings,
    pace: LoopSettings,
}

impl Worker {
    /// Describes a worker. The connection string is libpq's, environment variables included.
    pub fn new(conninfo: &str, queue: &str, consumer: &str) -> Worker {
        Worker::with_settings(conninfo, Settings::new(queue, consumer))
    }

    /// Describes a worker by its consumer's settings.
    pub fn with_settings(conninfo: &str, settings: Settings) -> Worker {
        let databases = vec![(DB.to_owned(), conninfo.to_owned())];
        Worker { databases, settings, pace: LoopSettings::default() }
    }

    /// Adds a database for the delivery to use, under a name.
    pub fn database(mut self, name: &str, conninfo: &str) -> Worker {
        self.databases.push((name.to_owned(), conninfo.to_owned()));
        self
    }

    /// Sets how long to sleep when there is no batch. Defaults to one second.
    pub fn loop_delay(mut self, delay: Duration) -> Worker {
        // Zero would end the loop at the first empty round.
        self.pace.loop_delay = delay.as_secs_f64().max(0.001);
        self
    }

    /// Sets how long to wait after a failed batch. Defaults to 20 seconds.
    pub fn exception_sleep(mut self, delay: Duration) -> Worker {
        self.pace.exception_sleep = delay;
        self
    }

    /// Connects, registers the consumer and starts the thread; returns when the worker is up.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, PgQ or the queue is missing, or no thread can be started.
    pub fn spawn(self, consumer: impl Consumer + Send + 'static) -> Result<WorkerHandle, Error> {
        self.spawn_delivery(ToConsumer(consumer))
    }

    /// As [`spawn`](Worker::spawn), for another kind of consumer.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Worker::spawn).
    pub fn spawn_delivery(self, delivery: impl Delivery + Send + 'static) -> Result<WorkerHandle, Error> {
        let control = Control::default();
        // No server knows a name with a NUL, but the thread's name must not have one.
        let job = format!("{}/{}", self.settings.queue, self.settings.consumer).replace('\0', "");
        let mut databases = Databases::new(&self.settings.consumer, control.clone());
        for (name, conninfo) in &self.databases {
            databases.set(name, conninfo);
        }
        let context = Context::new(databases, control.clone());
        let (up, is_up) = mpsc::channel();
        let name = job.clone();
        let thread = thread::Builder::new().name(job).spawn(move || {
            let script = ConsumerLoop::new(DB, Subscription::new(self.settings), delivery);
            RunLoop::new(&name, script, self.pace, context).run(move || {
                // The receiver waits for nothing else.
                let _ = up.send(());
            })
        });
        let thread = thread.map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
        let handle = WorkerHandle { control, thread: Some(thread) };
        // The sender is gone without a word when the loop has ended before it was up.
        match is_up.recv() {
            Ok(()) => Ok(handle),
            Err(_) => handle.join().and(Err(Error::failed("the worker ended before it was up"))),
        }
    }
}

/// A running worker. Dropping it stops the worker and waits for the current batch.
pub struct WorkerHandle {
    control: Control,
    thread: Option<JoinHandle<Result<(), BoxError>>>,
}

impl WorkerHandle {
    /// Asks the worker to end after the current batch.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Asks the worker to end now: the running statement is cancelled and the current batch rolled back.
    ///
    /// Returns whether the worker has ended, after three quarters of a second at most: code of the consumer
    /// that is busy with something else cannot be interrupted.
    pub fn abort(&self) -> bool {
        self.control.abort()
    }

    /// Tells whether the worker has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the worker to end.
    ///
    /// # Errors
    ///
    /// What ended the worker, if it was not asked to.
    pub fn join(mut self) -> Result<(), Error> {
        self.wait()
    }

    fn wait(&mut self) -> Result<(), Error> {
        match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(match error.downcast::<Error>() {
                Ok(error) => *error,
                Err(error) => Error::failed("the worker failed").caused_by(error),
            }),
            Some(Err(_)) => Err(Error::failed("the worker panicked")),
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.stop();
        // Whoever wants to know the error joins.
        let _ = self.wait();
    }
}
