//! Notifications, which end the sleep between rounds. For each database with channels, a thread with a connection of
//! its own waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use fallible_iterator::FallibleIterator;
use log::{debug, info, warn};
use postgres::error::SqlState;

use crate::backoff::Backoff;
use crate::control::Control;
use crate::database::connect::{self, Opened, PATH};
use crate::database::conninfo::Target;
use crate::database::own_session::{HAS_OWN_SESSION, marked};
use crate::error::{BoxError, Error, describe, sqlstate};

/// The interval at which a listener checks whether it is still needed.
const POLL: Duration = Duration::from_secs(1);
/// After this time without a notification, the listener checks the connection: a proxy may have dropped it silently.
const CHECK_AFTER: Duration = Duration::from_secs(5);
/// The delays before further attempts to listen.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(500), RESET_AFTER);
/// A connection that lasts for this time resets the delays.
const RESET_AFTER: Duration = Duration::from_secs(60);

/// The channels to listen on, by the name of their database.
pub(crate) type Channels = BTreeMap<String, BTreeSet<String>>;

/// Opens a listener's connection.
pub(crate) type OpenConnection = Box<dyn Fn() -> Result<Opened, BoxError> + Send>;

/// Turns off `idle_session_timeout`. Servers before 14 do not have it.
const NO_IDLE_TIMEOUT: &str = "select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings \
     where name = 'idle_session_timeout'";

/// Opens a connection for a listener.
///
/// # Errors
///
/// Fails if the server refuses the connection, and if a pooler is in between ([`Pooler`]).
pub(crate) fn connect(target: &Target) -> Result<Opened, Error> {
    let pooler = || Error::failed("a pooler is in between").caused_by(Pooler);
    let mut opened = match connect::open(&marked(target, PATH)) {
        // Most poolers refuse start options that they do not recognise.
        Err(error) if sqlstate(&error) == Some(&SqlState::PROTOCOL_VIOLATION) => return Err(pooler()),
        opened => opened?,
    };
    let client = &mut opened.client;
    let failed = |error| Error::failed("cannot listen").caused_by(error);
    if !client.query_typed_one(HAS_OWN_SESSION, &[]).map_err(failed)?.get::<_, bool>(0) {
        return Err(pooler());
    }
    client.batch_execute(NO_IDLE_TIMEOUT).map_err(failed)?;
    Ok(opened)
}

/// The cause of an error when a pooler shares sessions between clients: a `LISTEN` would outlive this client.
#[derive(Debug)]
struct Pooler;

impl fmt::Display for Pooler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it shares its sessions between clients")
    }
}

impl StdError for Pooler {}

fn is_pooler(error: &(dyn StdError + 'static)) -> bool {
    error.is::<Pooler>() || error.source().is_some_and(is_pooler)
}

/// The running listeners.
#[derive(Default)]
pub(crate) struct Listeners {
    running: BTreeMap<String, Listener>,
}

struct Listener {
    conninfo: String,
    channels: BTreeSet<String>,
    wanted: Arc<AtomicBool>,
    thread: Thread,
}

impl Listeners {
    /// Starts and stops listeners so that they match `wanted`. `open` returns the connection string of a name, and a
    /// function that opens its connection.
    pub(crate) fn follow(
        &mut self,
        wanted: &Channels,
        control: &Control,
        open: impl Fn(&str) -> Option<(String, OpenConnection)>,
    ) {
        self.running.retain(|name, _| wanted.contains_key(name));
        for (name, channels) in wanted {
            let Some((conninfo, open)) = open(name) else { continue };
            let unchanged =
                |running: &Listener| running.conninfo == conninfo && running.channels == *channels;
            if self.running.get(name).is_some_and(unchanged) {
                continue;
            }
            self.running.remove(name);
            if let Some(listener) = Listener::start(name, conninfo, channels.clone(), control, open) {
                self.running.insert(name.clone(), listener);
            }
        }
    }
}

impl Listener {
    fn start(
        name: &str,
        conninfo: String,
        channels: BTreeSet<String>,
        control: &Control,
        open: OpenConnection,
    ) -> Option<Listener> {
        let wanted = Arc::new(AtomicBool::new(true));
        let listener = ListenerThread {
            name: name.to_owned(),
            listen: channels.iter().map(|channel| format!("listen {};", quoted(channel))).collect(),
            control: control.clone(),
            wanted: wanted.clone(),
            open,
        };
        match thread::Builder::new().name("listen".to_owned()).spawn(move || listener.run()) {
            Ok(handle) => Some(Listener { conninfo, channels, wanted, thread: handle.thread().clone() }),
            Err(error) => {
                warn!("{name}: cannot listen: {error}");
                None
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
        self.thread.unpark();
    }
}

/// The state of a listener's thread.
struct ListenerThread {
    name: String,
    listen: String,
    control: Control,
    wanted: Arc<AtomicBool>,
    open: OpenConnection,
}

impl ListenerThread {
    /// Listens until it is no longer wanted, and reconnects after failures.
    fn run(self) {
        let mut failures = 0;
        let mut has_failed = false;
        while self.is_wanted() {
            let begin = Instant::now();
            let error = match self.connected() {
                Ok(opened) => {
                    if std::mem::take(&mut has_failed) {
                        info!("{}: listening again", self.name);
                    }
                    self.wait(opened)
                }
                Err(error) => error,
            };
            if !self.is_wanted() {
                break;
            }
            if is_pooler(&*error) {
                info!("{}: a pooler passes on no notifications, polling every loop_delay", self.name);
                break;
            }
            let line = describe(&*error);
            if std::mem::replace(&mut has_failed, true) {
                debug!("{}: still not listening: {line}", self.name);
            } else {
                warn!("{}: not listening, polling every loop_delay instead: {line}", self.name);
            }
            thread::park_timeout(delay(&mut failures, begin.elapsed()));
        }
    }

    fn connected(&self) -> Result<Opened, BoxError> {
        let mut opened = (self.open)()?;
        opened.client.batch_execute(&self.listen)?;
        // Notifications sent before `LISTEN` are lost.
        self.control.wake();
        Ok(opened)
    }

    /// Wakes the loop at every notification until the connection breaks or the server stops responding.
    fn wait(&self, opened: Opened) -> BoxError {
        let Opened { mut client, probe, .. } = opened;
        let mut last_answer = Instant::now();
        while self.is_wanted() {
            match client.notifications().timeout_iter(POLL).next() {
                Ok(Some(_)) => {
                    last_answer = Instant::now();
                    self.control.wake();
                }
                Ok(None) => {}
                Err(error) => return error.into(),
            }
            if client.is_closed() {
                return "the connection is closed".into();
            }
            if last_answer.elapsed() >= CHECK_AFTER {
                client = match probe.require_answer(client) {
                    Ok(client) => client,
                    Err(error) => return unanswered(error),
                };
                last_answer = Instant::now();
            }
        }
        "no longer wanted".into()
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

fn unanswered(error: postgres::Error) -> BoxError {
    Error::failed("the server has stopped responding").caused_by(error).into()
}

/// Returns the delay after a connection that lasted for some time, and counts the failure.
fn delay(failures: &mut u32, lasted: Duration) -> Duration {
    if lasted >= RESET_AFTER {
        *failures = 0;
    }
    let delay = BACKOFF.delay(*failures);
    *failures = failures.saturating_add(1);
    delay
}

pub(crate) fn quoted(channel: &str) -> String {
    format!("\"{}\"", channel.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_until_a_connection_lasts() {
        let (mut failures, short) = (0, Duration::from_secs(10));
        let seconds: Vec<f64> = (0..9).map(|_| delay(&mut failures, short).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        assert_eq!(delay(&mut failures, RESET_AFTER).as_secs_f64(), 0.5);
        assert_eq!(delay(&mut failures, short).as_secs_f64(), 1.0);
    }
}
