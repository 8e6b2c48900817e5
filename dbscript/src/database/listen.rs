//! Notifications end the sleep between rounds: for each database that is listened to, a thread with a
//! connection of its own waits for them.

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
use postgres::types::Type;

use crate::control::Control;
use crate::database::connect::{self, Opened};
use crate::database::conninfo::Target;
use crate::error::{BoxError, Error, describe, sqlstate};

/// How long a listener may live on after it is not wanted any more.
const CHECK: Duration = Duration::from_secs(1);
/// How long a server may be silent until it is asked for a sign of life: a proxy may have lost it without a word.
const SILENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A setting that a session has when it was started for the connection that asks for it.
const MARK: &str = "dbscript.listener";

/// The channels to listen to, by the name of their database.
pub(crate) type Channels = BTreeMap<String, BTreeSet<String>>;

/// Opens a listener's connection.
pub(crate) type Open = Box<dyn Fn() -> Result<Opened, BoxError> + Send>;

/// Keeps the server from ending the session because nothing is sent over it. Servers before 14 have no such limit.
const STAY: &str = "select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings \
     where name = 'idle_session_timeout'";

/// Opens a connection for a listener.
///
/// # Errors
///
/// When the server refuses, and when a pooler is between ([`Pooler`]).
pub(crate) fn connect(mut target: Target) -> Result<Opened, Error> {
    let given = target.common.get_options().unwrap_or_default();
    let options = format!("{given} -c {MARK}=1 -c search_path=pg_catalog");
    target.common.options(options.trim());
    let pooler = || Error::failed("a pooler is between").caused_by(Pooler);
    let mut opened = match connect::open(&target) {
        // Poolers pass on what they know, and most of them refuse the rest.
        Err(error) if sqlstate(&error) == Some(&SqlState::PROTOCOL_VIOLATION) => return Err(pooler()),
        opened => opened?,
    };
    let client = &mut opened.client;
    let marked =
        client.query_typed_one("select pg_catalog.current_setting($1, true)", &[(&MARK, Type::TEXT)]);
    let failed = |error| Error::failed("cannot listen").caused_by(error);
    if marked.map_err(failed)?.get::<_, Option<&str>>(0) != Some("1") {
        return Err(pooler());
    }
    client.batch_execute(STAY).map_err(failed)?;
    Ok(opened)
}

/// The cause when sessions are a pooler's, and listening would be left behind in them.
#[derive(Debug)]
struct Pooler;

impl fmt::Display for Pooler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its sessions are not one's own")
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
    /// Starts and ends listeners until they are those that `wanted` asks for. `open` makes what opens the
    /// connection of a name, with the connection string that it uses.
    pub(crate) fn follow(
        &mut self,
        wanted: &Channels,
        control: &Control,
        open: impl Fn(&str) -> Option<(String, Open)>,
    ) {
        self.running.retain(|name, _| wanted.contains_key(name));
        for (name, channels) in wanted {
            let Some((conninfo, open)) = open(name) else { continue };
            let unchanged = |known: &Listener| known.conninfo == conninfo && known.channels == *channels;
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
        open: Open,
    ) -> Option<Listener> {
        let wanted = Arc::new(AtomicBool::new(true));
        let ear = Ear {
            name: name.to_owned(),
            listen: channels.iter().map(|channel| format!("listen {};", quoted(channel))).collect(),
            control: control.clone(),
            wanted: wanted.clone(),
            open,
        };
        match thread::Builder::new().name("listen".to_owned()).spawn(move || ear.run()) {
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

/// What a listener's thread has.
struct Ear {
    name: String,
    listen: String,
    control: Control,
    wanted: Arc<AtomicBool>,
    open: Open,
}

impl Ear {
    /// Listens until nobody wants it any more; a connection that cannot be had is tried for again and again.
    fn run(self) {
        let mut pauses = Pauses::default();
        let mut failed = false;
        while self.is_wanted() {
            let begin = Instant::now();
            let error = match self.connected() {
                Ok(opened) => {
                    if std::mem::take(&mut failed) {
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
                info!("{}: not listening through a pooler, looking every loop_delay", self.name);
                break;
            }
            let line = describe(&*error);
            if failed {
                debug!("{}: still not listening: {line}", self.name);
            } else {
                warn!("{}: not listening, looking every loop_delay instead: {line}", self.name);
            }
            failed = true;
            thread::park_timeout(pauses.after(begin.elapsed()));
        }
    }

    fn connected(&self) -> Result<Opened, BoxError> {
        let mut opened = (self.open)()?;
        opened.client.batch_execute(&self.listen)?;
        // What came before this moment was not heard.
        self.control.wake();
        Ok(opened)
    }

    /// Wakes the loop at every notification until the connection breaks, or the server does not answer any more.
    fn wait(&self, opened: Opened) -> BoxError {
        let Opened { mut client, lifeline, .. } = opened;
        let mut last_sign = Instant::now();
        while self.is_wanted() {
            let heard = client.notifications().timeout_iter(CHECK).next();
            match heard {
                Ok(Some(_)) => {
                    last_sign = Instant::now();
                    self.control.wake();
                }
                Ok(None) => {}
                Err(error) => return error.into(),
            }
            if client.is_closed() {
                return "the connection is closed".into();
            }
            if last_sign.elapsed() >= SILENCE {
                client = match lifeline.ask(client) {
                    Ok(client) => client,
                    Err(silent) => return unanswered(silent),
                };
                last_sign = Instant::now();
            }
        }
        "not wanted any more".into()
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

fn unanswered(error: postgres::Error) -> BoxError {
    Error::failed("the server does not answer any more").caused_by(error).into()
}

/// How long to wait between attempts to listen: ever longer, also while connections do not last.
#[derive(Default)]
struct Pauses(Duration);

impl Pauses {
    /// Returns the pause after an attempt that lasted as long as told.
    fn after(&mut self, lasted: Duration) -> Duration {
        let longer = if lasted < LONGEST_PAUSE { self.0 * 2 } else { FIRST_PAUSE };
        self.0 = longer.clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.0
    }
}

fn quoted(channel: &str) -> String {
    format!("\"{}\"", channel.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_connection_lasts() {
        let (mut pauses, short) = (Pauses::default(), Duration::from_secs(10));
        let seconds: Vec<f64> = (0..9).map(|_| pauses.after(short).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        assert_eq!(pauses.after(LONGEST_PAUSE), FIRST_PAUSE);
        assert_eq!(pauses.after(short), FIRST_PAUSE * 2);
    }
}
