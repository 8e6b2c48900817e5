//! Named database connections, kept from round to round.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use log::debug;
use postgres::Client;
use scheduled_thread_pool::ScheduledThreadPool;

use crate::control::Control;
use crate::database::blocking::require_blocking_thread;
use crate::database::connect::{self, SearchPath};
use crate::database::connection::Connection;
use crate::database::conninfo::{self, Target};
use crate::database::listen::{self, Channels, Listeners, OpenConnection};
use crate::database::pool::{PoolOfOne, Pooled};
use crate::database::statement_cache::StatementCache;
use crate::error::{BoxError, Error};

/// Default of `connection_lifetime`: 20 minutes.
pub const DEFAULT_CONNECTION_LIFETIME: Duration = Duration::from_secs(1200);

/// Opens connections by name, and replaces each when it is older than its lifetime.
///
/// Skytools: `DBScript.get_database`, `close_database`, `reset`.
pub struct Databases {
    entries: HashMap<String, Entry>,
    lifetime: Duration,
    dead_peer_timeout: Option<Duration>,
    path: SearchPath,
    application_name: String,
    control: Control,
    threads: Option<Arc<ScheduledThreadPool>>,
    hook: Option<Hook>,
    checks: BTreeMap<(String, &'static str), Check>,
    channels: Channels,
    listeners: Listeners,
}

/// Saved connection strings and settings.
pub(crate) struct SavedDatabases {
    strings: Vec<(String, String)>,
    lifetime: Duration,
    dead_peer_timeout: Option<Duration>,
    path: SearchPath,
    hook: Option<Hook>,
    channels: Channels,
}

/// Sets up a new connection.
type Hook = Arc<dyn Fn(&str, &mut Client) -> Result<(), BoxError> + Send + Sync>;

/// Checks a new connection.
type Check = fn(&mut Client) -> Result<(), BoxError>;

struct Entry {
    conninfo: String,
    pool: Option<PoolOfOne>,
}

impl Databases {
    /// Makes an empty set. Connections have `application_name` and are cancelled by `control`.
    pub fn new(application_name: &str, control: Control) -> Databases {
        Databases {
            entries: HashMap::new(),
            lifetime: DEFAULT_CONNECTION_LIFETIME,
            dead_peer_timeout: None,
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

    /// Adds another connection to the database of a name, under a name of its own.
    pub fn set_another(&mut self, name: &str, of: &str) {
        if let Some(conninfo) = self.entries.get(of).map(|entry| entry.conninfo.clone()) {
            self.set(name, &conninfo);
        }
    }

    /// Makes a set with the same connection strings and search path and with connections of its own, which `control`
    /// cancels.
    pub fn separate(&self, control: Control) -> Databases {
        let mut separate = Databases::new(&self.application_name, control);
        (separate.path, separate.dead_peer_timeout) = (self.path, self.dead_peer_timeout);
        for (name, entry) in &self.entries {
            separate.set(name, &entry.conninfo);
        }
        separate
    }

    /// Saves the settings, to be [restored](Databases::restore) later. The hook and the channels are removed,
    /// connection strings and limits stay.
    pub(crate) fn snapshot(&mut self) -> SavedDatabases {
        let strings = self.entries.iter().map(|(name, entry)| (name.clone(), entry.conninfo.clone()));
        SavedDatabases {
            strings: strings.collect(),
            lifetime: self.lifetime,
            dead_peer_timeout: self.dead_peer_timeout,
            path: self.path,
            hook: self.hook.take(),
            channels: std::mem::take(&mut self.channels),
        }
    }

    /// Restores saved settings. Closes all connections: they may have been set up by another hook.
    pub(crate) fn restore(&mut self, saved: SavedDatabases) {
        self.reset();
        for (name, conninfo) in &saved.strings {
            self.set(name, conninfo);
        }
        self.set_lifetime(saved.lifetime);
        self.dead_peer_timeout = saved.dead_peer_timeout;
        self.path = saved.path;
        self.hook = saved.hook;
        self.channels = saved.channels;
    }

    /// Closes all connections if the hook that has set them up was removed.
    pub(crate) fn replaced(&mut self, before: &SavedDatabases) {
        if before.hook.is_some() && self.hook.is_none() {
            self.reset();
        }
    }

    /// Sets a function that sets up every new connection. Skytools: `connection_hook`.
    ///
    /// `hook` gets the name of the database and the connection. [`get`](Databases::get) returns the hook's error.
    /// Settings of the session are lost behind a pooler in transaction mode.
    pub fn set_connection_hook(
        &mut self,
        hook: impl Fn(&str, &mut Client) -> Result<(), BoxError> + Send + Sync + 'static,
    ) {
        self.hook = Some(Arc::new(hook));
        self.reset();
    }

    /// Sets a check of every new connection of a name. The title identifies the check in messages: a check with the
    /// same title is replaced. The connection of the name is closed if the check is new.
    ///
    /// [`get`](Databases::get) returns the error of `check`.
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

    /// Ends the sleep between rounds at every notification on a channel of a database. Skytools: `listen`.
    ///
    /// A connection of its own listens. While it cannot be opened, the loop polls every `loop_delay`. Behind a pooler
    /// the loop always polls, since the pooler shares sessions between clients.
    pub fn listen(&mut self, name: &str, channel: &str) {
        self.channels.entry(name.to_owned()).or_default().insert(channel.to_owned());
    }

    /// Undoes [`listen`](Databases::listen). Skytools: `unlisten`.
    pub fn unlisten(&mut self, name: &str, channel: &str) {
        if let Some(channels) = self.channels.get_mut(name) {
            channels.remove(channel);
        }
        self.channels.retain(|_, channels| !channels.is_empty());
    }

    /// Starts and stops listeners to match the channels.
    pub(crate) fn follow_channels(&mut self) {
        let entries = &self.entries;
        self.listeners.follow(&self.channels, &self.control, |name| {
            let conninfo = entries.get(name)?.conninfo.clone();
            let (text, application_name, timeout) =
                (conninfo.clone(), self.application_name.clone(), self.dead_peer_timeout);
            let open: OpenConnection =
                Box::new(move || Ok(listen::connect(&resolve(&text, &application_name, timeout)?)?));
            Some((conninfo, open))
        });
    }

    /// Stops the listeners and closes all connections at the end of a loop.
    pub(crate) fn end(&mut self) {
        self.listeners = Listeners::default();
        self.reset();
    }

    /// Closes idle connections that are broken or older than the lifetime.
    pub(crate) fn refresh(&mut self) {
        self.entries.values().filter_map(|entry| entry.pool.as_ref()).for_each(PoolOfOne::retire);
    }

    /// Sets the age at which a connection is replaced, between rounds.
    ///
    /// Defaults to 20 minutes ([`DEFAULT_CONNECTION_LIFETIME`]).
    pub fn set_lifetime(&mut self, lifetime: Duration) {
        if lifetime != self.lifetime {
            self.lifetime = lifetime;
            self.reset();
        }
    }

    /// Sets the time after which a connection over TCP fails if the server's machine has stopped responding, unless
    /// the connection string sets `tcp_user_timeout` or the keepalive parameters. Defaults to 10 seconds.
    pub fn set_dead_peer_timeout(&mut self, timeout: Duration) {
        if self.dead_peer_timeout.replace(timeout) != Some(timeout) {
            self.reset();
        }
    }

    /// Sets the search path of every connection to `pg_catalog`, in place of the setting of the role, the database or
    /// the connection string. Suits programs that run no statements of users.
    ///
    /// A pooler may refuse the start option. Then the connection is opened without it and checked as by
    /// [`check_search_path`](Databases::check_search_path).
    pub fn pin_search_path(&mut self) {
        self.set_path(SearchPath::Pinned);
    }

    /// Refuses connections whose search path has a schema before `pg_catalog`, because operators of that schema could
    /// replace those of the catalog. Has no effect on a [pinned](Databases::pin_search_path) search path.
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
    /// Fails if the connection is already in use, if the name has no connection string or an invalid one, if the server
    /// refuses the connection, and on a thread that runs asynchronous code ([`require_blocking_thread`]). The message
    /// names database, host, port and user.
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

    /// Checks a connection string and the service that it names.
    ///
    /// # Errors
    ///
    /// Fails if the connection string is invalid, or its service is not defined. The message omits its values.
    pub fn check(conninfo: &str) -> Result<(), Error> {
        conninfo::parse(conninfo, variable).map(|_| ())
    }

    /// Returns the label of a database in messages: its name, and database, host, port and user if the connection
    /// string is valid.
    pub fn label(&self, name: &str) -> String {
        let entry = self.entries.get(name);
        match entry.and_then(|entry| conninfo::parse(&entry.conninfo, variable).ok()) {
            Some(target) => format!("{name} ({target})"),
            None => name.to_owned(),
        }
    }

    /// Returns the name of the database in the connection string of a name, if there is one.
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

    /// Opens a connection and sets it up. A thread opens it, so that a server which does not respond cannot delay the
    /// end of the program.
    fn connect(&self, name: &str, pool: &PoolOfOne) -> Result<Pooled, Error> {
        let interrupted = |error: BoxError| Error::failed(format!("{name}: not connected")).caused_by(error);
        if self.control.is_aborting() {
            return Err(interrupted(Error::interrupted().into()));
        }
        require_blocking_thread().map_err(|error| interrupted(error.into()))?;
        // The service file and the password file may have changed.
        let conninfo = self.entries.get(name).map_or("", |entry| &entry.conninfo);
        let target = resolve(conninfo, &self.application_name, self.dead_peer_timeout)
            .map_err(|error| Error::failed(name.to_owned()).caused_by(error))?;
        let label = target.to_string();
        debug!("{name}: connecting to {label}");
        let path = self.path;
        let opened = self.control.interruptible("connect", move || connect::open_with(&target, path));
        let connect::Opened { client, canceller, probe, has_own_session } =
            opened.map_err(interrupted)?.map_err(|error| Error::failed(name.to_owned()).caused_by(error))?;
        let mut pooled = Pooled::new(
            client,
            StatementCache::new(&label, has_own_session),
            probe,
            self.control.cancellable(canceller),
        );
        // An abort has no effect on a connection that was not yet registered.
        if self.control.is_aborting() {
            return Err(interrupted(Error::interrupted().into()));
        }
        for ((_, title), check) in self.checks.iter().filter(|((of, _), _)| of == name) {
            let failed =
                |error: BoxError| Error::failed(format!("{}: {title}", pool.label())).caused_by(error);
            check(&mut pooled.client).map_err(failed)?;
        }
        if let Some(hook) = &self.hook {
            hook(name, &mut pooled.client).map_err(|error| setup_failed(&pool.label(), error))?;
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
        let target = resolve(&entry.conninfo, &self.application_name, self.dead_peer_timeout)
            .map_err(|error| Error::failed(name.to_owned()).caused_by(error))?;
        let pool = PoolOfOne::new(name, &target, self.lifetime, threads.clone());
        Ok(entry.pool.insert(pool).clone())
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Parses a connection string and adds the application name and the timeout that it omits.
pub(crate) fn resolve(
    conninfo: &str,
    application_name: &str,
    dead_peer_timeout: Option<Duration>,
) -> Result<Target, Error> {
    let mut target = conninfo::parse(conninfo, variable)?;
    if target.common.get_application_name().is_none() {
        target.common.application_name(application_name);
    }
    if let Some(limit) = dead_peer_timeout {
        target.dead_peer.timeout = limit;
    }
    Ok(target)
}

fn setup_failed(label: &str, error: BoxError) -> Error {
    Error::failed(format!("{label}: the connection cannot be set up")).caused_by(error)
}
