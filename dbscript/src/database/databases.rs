//! Named database connections, kept from round to round.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use log::debug;
use postgres::Client;
use scheduled_thread_pool::ScheduledThreadPool;

use crate::control::Control;
use crate::database::connect::{self, SearchPath};
use crate::database::connection::Connection;
use crate::database::conninfo::{self, Target};
use crate::database::listen::{self, Channels, Listeners, Open};
use crate::database::pool::{PoolOfOne, Pooled};
use crate::error::{BoxError, Error};

/// Default of `connection_lifetime`: 20 minutes.
pub const DEFAULT_CONNECTION_LIFETIME: Duration = Duration::from_secs(1200);

/// Opens connections by name and keeps each until it is older than its lifetime.
///
/// Skytools: `DBScript.get_database`, `close_database`, `reset`.
pub struct Databases {
    entries: HashMap<String, Entry>,
    lifetime: Duration,
    silence: Option<Duration>,
    path: SearchPath,
    application_name: String,
    control: Control,
    threads: Option<Arc<ScheduledThreadPool>>,
    hook: Option<Hook>,
    checks: BTreeMap<(String, &'static str), Check>,
    channels: Channels,
    listeners: Listeners,
}

/// Connection strings and what else is set, at one time.
pub(crate) struct Snapshot {
    strings: Vec<(String, String)>,
    lifetime: Duration,
    silence: Option<Duration>,
    path: SearchPath,
    hook: Option<Hook>,
    channels: Channels,
}

/// What sets up a new connection.
type Hook = Arc<dyn Fn(&str, &mut Client) -> Result<(), BoxError> + Send + Sync>;

/// What a new connection has to pass.
type Check = fn(&mut Client) -> Result<(), BoxError>;

struct Entry {
    conninfo: String,
    pool: Option<PoolOfOne>,
}

impl Databases {
    /// Makes an empty set. Connections carry `application_name` and are cancelled by `control`.
    pub fn new(application_name: &str, control: Control) -> Databases {
        Databases {
            entries: HashMap::new(),
            lifetime: DEFAULT_CONNECTION_LIFETIME,
            silence: None,
            path: SearchPath::default(),
            application_name: application_name.to_owned(),
            control,
            threads: None,
            hook: None,
            checks: BTreeMap::new(),
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

    /// Adds a further connection to the database of a name, under another name.
    pub fn set_another(&mut self, name: &str, of: &str) {
        if let Some(conninfo) = self.entries.get(of).map(|entry| entry.conninfo.clone()) {
            self.set(name, &conninfo);
        }
    }

    /// Makes a set with the same connection strings and search path, whose connections are its own. `control` cancels
    /// them.
    pub fn separate(&self, control: Control) -> Databases {
        let mut separate = Databases::new(&self.application_name, control);
        (separate.path, separate.silence) = (self.path, self.silence);
        for (name, entry) in &self.entries {
            separate.set(name, &entry.conninfo);
        }
        separate
    }

    /// Takes what was set, to be [restored](Databases::restore); connection strings and limits stay.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let strings = self.entries.iter().map(|(name, entry)| (name.clone(), entry.conninfo.clone()));
        Snapshot {
            strings: strings.collect(),
            lifetime: self.lifetime,
            silence: self.silence,
            path: self.path,
            hook: self.hook.take(),
            channels: std::mem::take(&mut self.channels),
        }
    }

    /// Sets everything back to what it was. Connections are closed: they may have been set up otherwise.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        self.reset();
        for (name, conninfo) in &snapshot.strings {
            self.set(name, conninfo);
        }
        self.set_lifetime(snapshot.lifetime);
        self.silence = snapshot.silence;
        self.path = snapshot.path;
        self.hook = snapshot.hook;
        self.channels = snapshot.channels;
    }

    /// Closes connections that a hook has set up which is not wanted any more.
    pub(crate) fn replaced(&mut self, before: &Snapshot) {
        if before.hook.is_some() && self.hook.is_none() {
            self.reset();
        }
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

    /// Sets what every new connection of a name has to pass before it is used, under a title of the check; `check` may
    /// be set again and again. A connection that was opened without it is closed.
    ///
    /// The error of `check` is that of [`get`](Databases::get).
    pub fn set_check(
        &mut self,
        name: &str,
        title: &'static str,
        check: fn(&mut Client) -> Result<(), BoxError>,
    ) {
        if self.checks.insert((name.to_owned(), title), check).is_none() {
            self.close(name);
        }
    }

    /// Lets notifications on a channel of a database end the sleep between rounds. Skytools: `listen`.
    ///
    /// A connection of its own listens. While it cannot be had, the loop looks every `loop_delay`; and always
    /// behind a pooler, where nobody listens, since the session may be somebody else's a moment later.
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
            let (text, application_name, silence) =
                (conninfo.clone(), self.application_name.clone(), self.silence);
            let open: Open =
                Box::new(move || Ok(listen::connect(understood(&text, &application_name, silence)?)?));
            Some((conninfo, open))
        });
    }

    /// Closes everything at the end of a loop.
    pub(crate) fn end(&mut self) {
        self.listeners = Listeners::default();
        self.reset();
    }

    /// Closes the idle connections that are too old or lost.
    pub(crate) fn refresh(&mut self) {
        self.entries.values().filter_map(|entry| entry.pool.as_ref()).for_each(PoolOfOne::retire);
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

    /// Lets connections over TCP be lost when the server's machine is silent for about this long, unless the
    /// connection string sets `tcp_user_timeout`, `keepalives_idle` and the like. Defaults to 10 seconds.
    pub fn set_dead_peer_timeout(&mut self, limit: Duration) {
        if self.silence.replace(limit) != Some(limit) {
            self.reset();
        }
    }

    /// Lets every connection look up names without a schema in `pg_catalog` alone, whatever the search path of role,
    /// database and connection string is. For programs on whose connections no statement of a user runs.
    ///
    /// A pooler that refuses the start option is connected to without it. Then, as with
    /// [`check_search_path`](Databases::check_search_path), a schema before the catalogue is an error.
    pub fn pin_search_path(&mut self) {
        self.set_path(SearchPath::Pinned);
    }

    /// Lets every connection fail whose search path has a schema before `pg_catalog`, since the operators of
    /// statements might be that schema's. Connections with a [pinned](Databases::pin_search_path) path stay so.
    pub fn check_search_path(&mut self) {
        if self.path == SearchPath::Session {
            self.set_path(SearchPath::Checked);
        }
    }

    fn set_path(&mut self, path: SearchPath) {
        if std::mem::replace(&mut self.path, path) != path {
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
        let pool = self.pool(name)?;
        pool.retire();
        loop {
            let fresh = pool.is_empty();
            if fresh {
                pool.put(self.connect(name, &pool)?);
            }
            let mut connection =
                pool.take().map_err(|error| Error::failed(name.to_owned()).caused_by(error))?;
            if fresh || connection.check().is_ok() {
                return Ok(Connection::new(connection, pool.label()));
            }
        }
    }

    /// Checks a connection string, with the service that it names.
    ///
    /// # Errors
    ///
    /// When it is broken, or its service is not defined; says nothing of what it holds.
    pub fn check(conninfo: &str) -> Result<(), Error> {
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

    /// Returns the name of the database that the connection string of a name leads to, if it can be told.
    pub fn dbname(&self, name: &str) -> Option<String> {
        let target = conninfo::parse(&self.entries.get(name)?.conninfo, variable).ok()?;
        target.common.get_dbname().map(str::to_owned)
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

    /// Opens a connection and sets it up. On a thread, since a server that does not answer must not keep the
    /// program from ending.
    fn connect(&self, name: &str, pool: &PoolOfOne) -> Result<Pooled, Error> {
        let interrupted = |error: BoxError| Error::failed(format!("{name}: not connecting")).caused_by(error);
        if self.control.is_aborting() {
            return Err(interrupted(Error::interrupted().into()));
        }
        // Anew, since a service or a password may be another one by now.
        let conninfo = self.entries.get(name).map_or("", |entry| &entry.conninfo);
        let target = understood(conninfo, &self.application_name, self.silence)
            .map_err(|error| Error::failed(name.to_owned()).caused_by(error))?;
        debug!("{name}: connecting to {target}");
        let path = self.path;
        let opened = self.control.interruptible("connect", move || connect::open_with(&target, path));
        let connect::Opened { client, canceller, lifeline } =
            opened.map_err(interrupted)?.map_err(|error| Error::failed(name.to_owned()).caused_by(error))?;
        let mut pooled = Pooled::new(client, lifeline, self.control.cancellable(canceller));
        // An abort before the connection could be cancelled has not cancelled it.
        if self.control.is_aborting() {
            return Err(interrupted(Error::interrupted().into()));
        }
        for ((_, title), check) in self.checks.iter().filter(|((of, _), _)| of == name) {
            let failed =
                |error: BoxError| Error::failed(format!("{}: {title}", pool.label())).caused_by(error);
            check(&mut pooled.client).map_err(failed)?;
        }
        if let Some(hook) = &self.hook {
            hook(name, &mut pooled.client).map_err(|error| unprepared(&pool.label(), error))?;
        }
        Ok(pooled)
    }

    fn pool(&mut self, name: &str) -> Result<PoolOfOne, Error> {
        let threads = self.threads.get_or_insert_with(|| Arc::new(ScheduledThreadPool::new(1)));
        let entry = self
            .entries
            .get_mut(name)
            .ok_or_else(|| Error::usage(format!("no connection string is set for `{name}`")))?;
        if let Some(pool) = &entry.pool {
            return Ok(pool.clone());
        }
        let target = understood(&entry.conninfo, &self.application_name, self.silence)
            .map_err(|error| Error::failed(name.to_owned()).caused_by(error))?;
        let pool = PoolOfOne::new(name, &target, self.lifetime, threads.clone());
        Ok(entry.pool.insert(pool).clone())
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Understands a connection string, and adds what it leaves open.
fn understood(conninfo: &str, application_name: &str, silence: Option<Duration>) -> Result<Target, Error> {
    let mut target = conninfo::parse(conninfo, variable)?;
    if target.common.get_application_name().is_none() {
        target.common.application_name(application_name);
    }
    if let Some(limit) = silence {
        target.dead_peer.timeout = limit;
    }
    Ok(target)
}

fn unprepared(label: &str, error: BoxError) -> Error {
    Error::failed(format!("{label}: the connection cannot be set up")).caused_by(error)
}
