//! Named database connections, kept from round to round.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::debug;
use postgres::{Client, NoTls};
use r2d2::{ManageConnection, NopErrorHandler, Pool};
use r2d2_postgres::PostgresConnectionManager;
use scheduled_thread_pool::ScheduledThreadPool;

use crate::conninfo::Target;
use crate::control::{Cancellable, Control};
use crate::error::Interrupted;
use crate::listen::{Channels, Listeners, Open};
use crate::{BoxError, Connection, Error, connect, conninfo};

/// Default of `connection_lifetime`: 20 minutes.
pub const DEFAULT_CONNECTION_LIFETIME: Duration = Duration::from_secs(1200);

/// Opens connections by name and keeps each until it is older than its lifetime.
///
/// Skytools: `DBScript.get_database`, `close_database`, `reset`.
pub struct Databases {
    entries: HashMap<String, Entry>,
    lifetime: Duration,
    application_name: String,
    control: Control,
    threads: Option<Arc<ScheduledThreadPool>>,
    hook: Option<Hook>,
    channels: Channels,
    listeners: Listeners,
}

/// Connection strings and what else is set, at one time.
pub(crate) struct Snapshot {
    strings: Vec<(String, String)>,
    lifetime: Duration,
    hook: Option<Hook>,
    channels: Channels,
}

/// What sets up a new connection.
type Hook = Arc<dyn Fn(&str, &mut Client) -> Result<(), BoxError> + Send + Sync>;

struct Entry {
    conninfo: String,
    pool: Option<Opened>,
}

#[derive(Clone)]
struct Opened {
    target: Target,
    label: Arc<str>,
    pool: Pool<Manager>,
    next: Next,
}

/// The client that the pool hands out next: it is opened outside of the pool, so that a failure is known at
/// once and with its cause.
type Next = Arc<Mutex<Option<connect::Opened>>>;

impl Databases {
    /// Makes an empty set. Connections carry `application_name` and are cancelled by `control`.
    pub fn new(application_name: &str, control: Control) -> Databases {
        Databases {
            entries: HashMap::new(),
            lifetime: DEFAULT_CONNECTION_LIFETIME,
            application_name: application_name.to_owned(),
            control,
            threads: None,
            hook: None,
            channels: Channels::new(),
            listeners: Listeners::default(),
        }
    }

    /// Sets the connection string of a name; connections with another string are closed.
    pub fn set(&mut self, name: &str, conninfo: &str) {
        let unchanged = self.entries.get(name).is_some_and(|entry| entry.conninfo == conninfo);
        if !unchanged {
            self.entries.insert(name.to_owned(), Entry { conninfo: conninfo.to_owned(), pool: None });
        }
    }

    /// Takes what was set, to be [restored](Databases::restore); connection strings and lifetime stay.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let strings = self.entries.iter().map(|(name, entry)| (name.clone(), entry.conninfo.clone()));
        Snapshot {
            strings: strings.collect(),
            lifetime: self.lifetime,
            hook: self.hook.take(),
            channels: std::mem::take(&mut self.channels),
        }
    }

    /// Sets everything back to what it was.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        for (name, conninfo) in &snapshot.strings {
            self.set(name, conninfo);
        }
        self.set_lifetime(snapshot.lifetime);
        self.hook = snapshot.hook;
        self.channels = snapshot.channels;
    }

    /// Sets what is done with every new connection before it is used. Skytools: `connection_hook`.
    ///
    /// `hook` gets the name of the database and the connection; its error is that of
    /// [`get`](Databases::get). What it sets up belongs to the session, so it does not hold behind a pooler
    /// that hands out transactions.
    pub fn set_connection_hook(
        &mut self,
        hook: impl Fn(&str, &mut Client) -> Result<(), BoxError> + Send + Sync + 'static,
    ) {
        self.hook = Some(Arc::new(hook));
        self.reset();
    }

    /// Lets notifications on a channel of a database end the sleep between rounds. Skytools: `listen`.
    ///
    /// A connection of its own listens; while it cannot be had, and always behind a pooler that hands out
    /// transactions, the loop looks every `loop_delay`.
    pub fn listen(&mut self, name: &str, channel: &str) {
        self.channels.entry(name.to_owned()).or_default().insert(channel.to_owned());
    }

    /// Takes [`listen`](Databases::listen) back. Skytools: `unlisten`.
    pub fn unlisten(&mut self, name: &str, channel: &str) {
        if let Some(channels) = self.channels.get_mut(name) {
            channels.remove(channel);
        }
        self.channels.retain(|_, channels| !channels.is_empty());
    }

    /// Starts and ends listeners, so that they are those that were asked for.
    pub(crate) fn follow_channels(&mut self) {
        let entries = &self.entries;
        self.listeners.follow(&self.channels, &self.control, |name| {
            let conninfo = entries.get(name)?.conninfo.clone();
            let (text, application_name) = (conninfo.clone(), self.application_name.clone());
            let open: Open = Box::new(move || Ok(connect::connect(&understood(&text, &application_name)?)?));
            Some((conninfo, open))
        });
    }

    /// Closes everything at the end of a loop.
    pub(crate) fn end(&mut self) {
        self.listeners = Listeners::default();
        self.reset();
    }

    /// Sets the age at which a connection is closed and opened anew, between rounds.
    ///
    /// Defaults to 20 minutes ([`DEFAULT_CONNECTION_LIFETIME`]).
    pub fn set_lifetime(&mut self, lifetime: Duration) {
        if lifetime != self.lifetime {
            self.lifetime = lifetime;
            self.reset();
        }
    }

    /// Returns the connection of a name, opened at first use.
    ///
    /// # Errors
    ///
    /// When the connection is in use already, when no connection string was set under the name or it is
    /// broken, and when the server refuses; the message names database, host, port and user.
    pub fn get(&mut self, name: &str) -> Result<Connection, Error> {
        let opened = self.opened(name)?;
        loop {
            if self.control.is_aborting() {
                return Err(Error::failed(format!("{name}: not connecting")).caused_by(Interrupted));
            }
            let state = opened.pool.state();
            if state.connections > state.idle_connections {
                return Err(Error::failed(format!(
                    "{name}: the connection is in use, and there is only one"
                )));
            }
            let fresh = state.connections == 0;
            if fresh {
                let mut next = self.connect(name, &opened.target)?;
                if let Some(hook) = &self.hook {
                    hook(name, &mut next.client).map_err(|error| unprepared(&opened.label, error))?;
                }
                *opened.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
            }
            let mut connection = opened
                .pool
                .get()
                .map_err(|error| Error::failed(format!("{name}: cannot connect")).caused_by(error))?;
            if fresh || connection.answers() {
                return Ok(Connection::new(connection, opened.label));
            }
        }
    }

    /// Checks a connection string's syntax.
    #[cfg(feature = "program")]
    pub(crate) fn check(conninfo: &str) -> Result<(), Error> {
        conninfo::parse(conninfo, variable).map(|_| ())
    }

    /// Names a database in messages: its name here, and database, host, port and user where known.
    pub fn label(&self, name: &str) -> String {
        let entry = self.entries.get(name);
        match entry.and_then(|entry| conninfo::parse(&entry.conninfo, variable).ok()) {
            Some(target) => format!("{name} ({target})"),
            None => name.to_owned(),
        }
    }

    /// Closes the connection of a name; the next [`get`](Databases::get) opens a new one.
    pub fn close(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.pool = None;
        }
    }

    /// Closes all connections.
    pub fn reset(&mut self) {
        for entry in self.entries.values_mut() {
            entry.pool = None;
        }
    }

    /// Opens a connection on a thread, since a server that does not answer must not keep the program from
    /// ending.
    fn connect(&self, name: &str, target: &Target) -> Result<connect::Opened, Error> {
        debug!("{name}: connecting to {target}");
        let opening = target.clone();
        match self.control.interruptible("connect", move || connect::open(&opening)) {
            Ok(result) => result.map_err(|error| Error::failed(name.to_owned()).caused_by(error)),
            Err(error) => Err(Error::failed(format!("{name}: not connecting")).caused_by(error)),
        }
    }

    fn opened(&mut self, name: &str) -> Result<Opened, Error> {
        let threads = self.threads.get_or_insert_with(|| Arc::new(ScheduledThreadPool::new(1)));
        let entry = self
            .entries
            .get_mut(name)
            .ok_or_else(|| Error::usage(format!("no connection string is set for `{name}`")))?;
        if let Some(opened) = &entry.pool {
            return Ok(opened.clone());
        }
        let target = understood(&entry.conninfo, &self.application_name)
            .map_err(|error| Error::usage(name.to_owned()).caused_by(error))?;
        let next = Next::default();
        let manager = Manager {
            inner: PostgresConnectionManager::new(target.common.clone(), NoTls),
            target: target.clone(),
            next: next.clone(),
            lifetime: self.lifetime,
            control: self.control.clone(),
        };
        let pool = Pool::builder()
            .max_size(1)
            .min_idle(Some(0))
            // The pool knows no lifetime of zero, with which each round opens its own connection.
            .max_lifetime(Some(self.lifetime).filter(|lifetime| !lifetime.is_zero()))
            .idle_timeout(None)
            .test_on_check_out(false)
            .error_handler(Box::new(NopErrorHandler))
            .thread_pool(threads.clone())
            .build_unchecked(manager);
        let label = format!("{name} ({target})").into();
        let opened = Opened { target, label, pool, next };
        entry.pool = Some(opened.clone());
        Ok(opened)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Puts the hosts back into the driver's form.
/// Understands a connection string.
fn understood(conninfo: &str, application_name: &str) -> Result<Target, Error> {
    let mut target = conninfo::parse(conninfo, variable)?;
    if target.common.get_application_name().is_none() {
        target.common.application_name(application_name);
    }
    Ok(target)
}

fn unprepared(label: &str, error: BoxError) -> Error {
    Error::failed(format!("{label}: the connection cannot be set up")).caused_by(error)
}

/// A client as the pool keeps it.
pub(crate) struct Pooled {
    pub(crate) client: Client,
    opened: Instant,
    broken: bool,
    _cancellable: Cancellable,
}

impl Pooled {
    /// Asks the server for a sign of life; a connection without one is not handed out again.
    fn answers(&mut self) -> bool {
        self.broken = self.client.simple_query("").is_err();
        !self.broken
    }
}

pub(crate) struct Manager {
    /// Knows whether a client is well; connecting is done here, since it knows one host only.
    inner: PostgresConnectionManager<NoTls>,
    target: Target,
    next: Next,
    lifetime: Duration,
    control: Control,
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = Error;

    fn connect(&self) -> Result<Pooled, Error> {
        let ready = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let connect::Opened { client, canceller } = match ready {
            Some(opened) => opened,
            None => connect::open(&self.target)?,
        };
        let cancellable = self.control.cancellable(canceller);
        Ok(Pooled { client, opened: Instant::now(), broken: false, _cancellable: cancellable })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Error> {
        let valid = self.inner.is_valid(&mut pooled.client);
        valid.map_err(|error| Error::failed("the connection is lost").caused_by(error))
    }

    /// The pool looks at ages only while connections are idle; one that is in use round after round is
    /// retired here, when it comes back.
    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.broken || pooled.opened.elapsed() >= self.lifetime || self.inner.has_broken(&mut pooled.client)
    }
}
