//! Scripts on threads of their own, inside any program.

use std::fmt;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{error, warn};

use crate::control::Control;
use crate::database::databases::Databases;
use crate::error::{BoxError, Error, describe};
use crate::progress::{Progress, Totals};
use crate::run::loop_settings::LoopSettings;
use crate::run::run_loop::RunLoop;
use crate::run::script::{Context, Script};

/// The builder of a worker: a [`Script`] that runs on a thread of a larger program. A worker changes no global state:
/// no signal handlers, no logger (it logs through [`log`]), no files, no command line.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
///
/// use dbscript::{BoxError, Context, Round, Script, Worker};
///
/// struct Cleaner;
///
/// impl Script for Cleaner {
///     fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
///         let gone = cx.database("db")?.execute_typed("delete from session where expires < now()", &[])?;
///         cx.stats().add("count", gone);
///         Ok(Round::Idle)
///     }
/// }
///
/// # fn main() -> Result<(), BoxError> {
/// let worker = Worker::new("cleaner").database("db", "dbname=shop").loop_delay(Duration::from_secs(60));
/// let worker = worker.spawn(Cleaner)?;
/// // … the service does other things …
/// println!("{} rounds so far", worker.totals().rounds);
/// worker.stop();
/// worker.join()?;
/// # Ok(())
/// # }
/// ```
pub struct Worker {
    name: String,
    application_name: String,
    databases: Vec<(String, String)>,
    lifetime: Option<Duration>,
    dead_peer_timeout: Option<Duration>,
    pinned: bool,
    settings: LoopSettings,
    control: Control,
}

impl Worker {
    /// Creates a builder; `name` is the job's name in log lines and, by default, the application name on the server.
    pub fn new(name: &str) -> Worker {
        // Neither application names nor thread names can contain a NUL.
        let name = name.replace('\0', "");
        Worker {
            application_name: name.clone(),
            name,
            databases: Vec::new(),
            lifetime: None,
            dead_peer_timeout: None,
            pinned: false,
            settings: LoopSettings::default(),
            control: Control::default(),
        }
    }

    /// Adds a database. `name` is the argument of [`Context::database`]; `conninfo` is a connection string as libpq
    /// reads it, completed by environment variables.
    pub fn database(mut self, name: &str, conninfo: &str) -> Worker {
        self.databases.push((name.to_owned(), conninfo.to_owned()));
        self
    }

    /// Sets the application name of connections. Defaults to the job's name.
    pub fn application_name(mut self, name: &str) -> Worker {
        self.application_name = name.replace('\0', "");
        self
    }

    /// Sets the sleep after an idle round, at least 1 ms. Defaults to one second.
    pub fn loop_delay(mut self, delay: Duration) -> Worker {
        // Zero would end the loop at the first idle round.
        self.settings.loop_delay = delay.as_secs_f64().max(0.001);
        self
    }

    /// Sets the wait after a failed round. Defaults to 20 seconds.
    pub fn exception_sleep(mut self, delay: Duration) -> Worker {
        self.settings.exception_sleep = delay;
        self
    }

    /// Sets the age at which connections are replaced. Defaults to 20 minutes.
    pub fn connection_lifetime(mut self, lifetime: Duration) -> Worker {
        self.lifetime = Some(lifetime);
        self
    }

    /// Ends the loop after the first round.
    pub fn one_round(mut self) -> Worker {
        self.settings.loop_delay = -1.0;
        self
    }

    /// Ends the loop at the first idle round, and at the first failed one.
    pub fn until_idle(mut self) -> Worker {
        self.settings.loop_delay = 0.0;
        self
    }

    /// Sets the time after which a server that has stopped responding is considered dead. Defaults to 10 seconds. See
    /// [`Databases::set_dead_peer_timeout`].
    pub fn dead_peer_timeout(mut self, timeout: Duration) -> Worker {
        self.dead_peer_timeout = Some(timeout);
        self
    }

    /// Restricts the search path to `pg_catalog`. See [`Databases::pin_search_path`].
    pub fn pin_search_path(mut self) -> Worker {
        self.pinned = true;
        self
    }

    /// Sets all loop settings, in place of earlier ones.
    pub fn settings(mut self, settings: LoopSettings) -> Worker {
        self.settings = settings;
        self
    }

    /// Returns the handle that stops the worker, even while [`spawn`](Worker::spawn) waits for its startup.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Starts the thread and waits for the script's startup.
    ///
    /// # Errors
    ///
    /// Fails if a connection string is invalid, [`Script::startup`] fails, the worker is stopped meanwhile, or no
    /// thread can be started. Later failures are logged and the round is retried. A usage or fatal error ends the
    /// worker; it is logged and returned by [`WorkerHandle::join`].
    pub fn spawn(self, script: impl Script + Send + 'static) -> Result<WorkerHandle, BoxError> {
        let context = self.context()?;
        let control = self.control;
        let progress = Progress::default();
        let (name, report) = (self.name.clone(), progress.clone());
        let job = self.name.clone();
        let (up, is_up) = mpsc::channel();
        let thread = thread::Builder::new().name(self.name).spawn(move || {
            let mut is_up = false;
            let result = RunLoop::new(&name, script, self.settings, context).report_to(report).run(|| {
                is_up = true;
                // The receiver waits for one message.
                let _ = up.send(());
            });
            // `spawn` returns the error of a worker that was not up yet.
            if let (Err(error), true) = (&result, is_up) {
                error!("Job {name} ended: {}", describe(&**error));
            }
            drop(up);
            result
        });
        let thread = thread.map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
        let handle = WorkerHandle { name: job, control, progress, thread: Some(thread) };
        // The sender is dropped without a message when the loop ends before it is up.
        match is_up.recv() {
            Ok(()) => Ok(handle),
            Err(_) => handle.join().and(Err(Error::failed("the worker ended before it was up").into())),
        }
    }

    /// Runs the script on this thread until the loop ends, and returns its totals.
    ///
    /// # Errors
    ///
    /// Fails as [`spawn`](Worker::spawn) does, and if a usage or fatal error ends the loop. With
    /// [`one_round`](Worker::one_round) or [`until_idle`](Worker::until_idle), fails if any round fails.
    pub fn run(self, script: impl Script) -> Result<Totals, BoxError> {
        let context = self.context()?;
        let progress = Progress::default();
        RunLoop::new(&self.name, script, self.settings, context).report_to(progress.clone()).run(|| {})?;
        Ok(progress.totals())
    }

    fn context(&self) -> Result<Context, Error> {
        let mut databases = Databases::new(&self.application_name, self.control.clone());
        for (name, conninfo) in &self.databases {
            Databases::check(conninfo).map_err(|error| Error::usage(name.to_owned()).caused_by(error))?;
            databases.set(name, conninfo);
        }
        if let Some(lifetime) = self.lifetime {
            databases.set_lifetime(lifetime);
        }
        if let Some(limit) = self.dead_peer_timeout {
            databases.set_dead_peer_timeout(limit);
        }
        if self.pinned {
            databases.pin_search_path();
        }
        Ok(Context::new(databases, self.control.clone()))
    }
}

/// Shows only the name: connection strings may contain passwords.
impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The time for which a dropped [`WorkerHandle`] waits for the current round before it aborts the worker: 3 seconds.
///
/// The abort takes up to 0.75 seconds more.
pub const DROP_LIMIT: Duration = Duration::from_secs(3);

/// The poll interval while a thread is about to end.
const END_POLL: Duration = Duration::from_millis(5);
/// The time in which a thread must end after its loop. The thread drops the script in this time.
const END_LIMIT: Duration = Duration::from_secs(1);

/// A running worker. Dropping the handle stops the worker and waits up to [`DROP_LIMIT`] for the current round. A
/// longer round is aborted. A worker that does not end then continues unattended, with a warning.
/// [`join`](WorkerHandle::join) waits without a limit.
#[derive(Debug)]
pub struct WorkerHandle {
    name: String,
    control: Control,
    progress: Progress,
    thread: Option<JoinHandle<Result<(), BoxError>>>,
}

impl WorkerHandle {
    /// Stops the worker after the current round.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Stops the worker after the current round and waits for its end. A round that takes longer than `limit` is
    /// [aborted](WorkerHandle::abort).
    ///
    /// Returns true if the worker has ended. Code that runs no statement cannot be interrupted.
    pub fn stop_within(&self, limit: Duration) -> bool {
        self.stop();
        self.control.wait_for_end(limit) || self.abort()
    }

    /// Stops the worker now: running statements are cancelled, and their transactions rolled back.
    ///
    /// Waits up to 0.75 seconds, and returns true if the worker has ended. Code that runs no statement cannot be
    /// interrupted.
    pub fn abort(&self) -> bool {
        self.control.abort()
    }

    /// Ends the current sleep. Without a current sleep, the next one ends at once.
    pub fn wake(&self) {
        self.control.wake();
    }

    /// Returns the worker's totals.
    pub fn totals(&self) -> Totals {
        self.progress.totals()
    }

    /// Returns true if the worker has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the worker to end.
    ///
    /// # Errors
    ///
    /// The error that ended the worker, if any.
    pub fn join(mut self) -> Result<(), BoxError> {
        self.wait()
    }

    fn wait(&mut self) -> Result<(), BoxError> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::failed("the worker panicked").into()),
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        if self.thread.is_none() {
            return;
        }
        self.stop_within(DROP_LIMIT);
        let limit = Instant::now() + END_LIMIT;
        while !self.is_finished() && Instant::now() < limit {
            thread::sleep(END_POLL);
        }
        if self.is_finished() {
            // `join` returns the error; dropping the handle discards it.
            let _ = self.wait();
        } else {
            warn!("job {} does not end: its round continues unattended; `join` waits for it", self.name);
        }
    }
}
