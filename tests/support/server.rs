//! A private PostgreSQL server in a temporary folder.
//!
//! A shell process in a session of its own, the watchdog, creates the folder, runs the server and takes both
//! away when the pipe that only this process can write to is closed. The kernel closes it however this process
//! ends, so nothing is left behind even after `kill -9`.
#![allow(dead_code, reason = "every program that includes this file uses another part of it")]

#[path = "server/bindir.rs"]
mod bindir;
#[path = "server/builder.rs"]
mod builder;
#[path = "server/template.rs"]
mod template;
#[path = "server/watchdog.rs"]
pub(crate) mod watchdog;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

pub(crate) use self::builder::Builder;
use self::watchdog::{Place, Watchdog};

const READY_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A running PostgreSQL server that disappears together with this value or this process.
pub(crate) struct Server {
    bindir: PathBuf,
    dir: PathBuf,
    port: u16,
    watchdog: Mutex<Watchdog>,
    /// Idle sessions of the superuser in `postgres`, for statements about the whole server.
    sessions: Mutex<Vec<Client>>,
}

impl Server {
    /// Starts a server with the defaults of [`Server::builder`].
    ///
    /// # Errors
    ///
    /// Says in one line what to do when PostgreSQL is not installed, otherwise shows the server's log.
    pub(crate) fn start() -> Result<Server, String> {
        Server::builder().start()
    }

    /// Returns a builder for a server on a Unix socket that trusts everybody and does not wait for the disk.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// Creates the folder of a server that does not run yet.
    fn without_data(bindir: PathBuf, port: u16, place: Place) -> Result<Server, String> {
        let (watchdog, dir) = Watchdog::spawn(watchdog::SERVER, &bindir, place)
            .map_err(|error| format!("cannot create a folder for PostgreSQL's files: {error}"))?;
        Ok(Server { bindir, dir, port, watchdog: Mutex::new(watchdog), sessions: Mutex::default() })
    }

    /// Returns the folder that holds everything of this server.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the folder of the server's Unix socket.
    pub(crate) fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the folder of the server's data.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Returns the folder of the server's binaries.
    pub(crate) fn bindir(&self) -> &Path {
        &self.bindir
    }

    /// Makes a command for a client program: the server's own one, or where it came without, the installed one,
    /// which may be of another version.
    ///
    /// # Panics
    ///
    /// Says how to install it when it is missing.
    pub(crate) fn client_program(&self, name: &str) -> Command {
        let program = bindir::find_client(&self.bindir, name);
        Command::new(program.unwrap_or_else(|| panic!("`{name}` is not installed: run `scripts/setup`")))
    }

    /// Returns the port, which names the Unix socket and is the TCP port after [`Builder::listen_localhost`].
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the connection string of the superuser for one database, over the Unix socket.
    pub(crate) fn conninfo(&self, dbname: &str) -> String {
        let host = quote_conninfo(&self.dir.to_string_lossy());
        format!("host={host} port={} user=postgres dbname={}", self.port, quote_conninfo(dbname))
    }

    /// Connects to one database as the superuser.
    ///
    /// # Panics
    ///
    /// Shows the server's log when it does not accept the connection.
    pub(crate) fn client(&self, dbname: &str) -> Client {
        Client::connect(&self.conninfo(dbname), NoTls)
            .unwrap_or_else(|error| panic!("connect to `{dbname}`: {error:?}\n{}", self.log()))
    }

    /// Creates a database.
    ///
    /// # Panics
    ///
    /// Panics when the server refuses to, for instance because the database exists.
    pub(crate) fn create_database(&self, name: &str) {
        self.copy_database("template1", name);
    }

    /// Creates a database as a copy of another one.
    ///
    /// # Panics
    ///
    /// As [`Server::create_database`], and when somebody is connected to the other one.
    pub(crate) fn copy_database(&self, template: &str, name: &str) {
        let [template, new] = [template, name].map(quote_identifier);
        // Half the cost of copying through the log, the default since PostgreSQL 15.
        let strategy = if self.version() < 15 { "" } else { "strategy file_copy" };
        self.administer(&format!("create database {new} template {template} {strategy}"))
            .unwrap_or_else(|error| panic!("create database `{name}`: {error:?}"));
    }

    /// Drops a database, cutting off the sessions that use it.
    ///
    /// # Errors
    ///
    /// Returns the server's answer when it is down or refuses to.
    pub(crate) fn drop_database(&self, name: &str) -> Result<(), postgres::Error> {
        self.administer(&format!("drop database if exists {} with (force)", quote_identifier(name)))
    }

    /// Returns the major version.
    fn version(&self) -> u32 {
        let version =
            fs::read_to_string(self.data_dir().join("PG_VERSION")).expect("`initdb` has written it");
        version.trim().parse().expect("it is a number")
    }

    /// Runs a statement in an idle session, or in a new one.
    fn administer(&self, statement: &str) -> Result<(), postgres::Error> {
        let idle = || self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop().filter(|client| !client.is_closed());
        let mut client = match taken {
            Some(client) => client,
            None => Client::connect(&self.conninfo("postgres"), NoTls)?,
        };
        client.batch_execute(statement)?;
        idle().push(client);
        Ok(())
    }

    /// Returns whether an extension can be created on this server.
    ///
    /// # Panics
    ///
    /// Panics when the server does not answer.
    pub(crate) fn has_extension(&self, name: &str) -> bool {
        self.client("postgres")
            .query_one("select count(*) > 0 from pg_available_extensions where name = $1", &[&name])
            .expect("the superuser can read the list of extensions")
            .get(0)
    }

    /// Returns the server's log so far, with the output of `initdb` before it.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Cuts off all sessions as a crash would, and returns when the server has recovered.
    ///
    /// # Panics
    ///
    /// Shows the server's log when it does not recover.
    pub(crate) fn restart_immediate(&self) {
        self.order("restart")
            .and_then(|()| self.wait_until_ready())
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops the server in an orderly way, cutting off all sessions, and returns when it has ended.
    ///
    /// # Panics
    ///
    /// Shows the server's log when that fails.
    pub(crate) fn stop(&self) {
        self.order("stop").unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts the server after [`Server::stop`], and returns when it accepts connections.
    ///
    /// # Panics
    ///
    /// Shows the server's log when it does not start.
    pub(crate) fn start_again(&self) {
        self.order("start").and_then(|()| self.wait_until_ready()).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Writes a file into the server's folder of data, for the server alone to read, and returns its path.
    ///
    /// # Panics
    ///
    /// Panics when that fails.
    pub(crate) fn write_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.data_dir().join(name);
        let owner = fs::metadata(self.data_dir()).expect("the folder is there");
        fs::write(&path, text).expect("the folder is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is the test's");
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).expect("the owner is known");
        path
    }

    /// Starts a streaming standby of this server, which is stopped for as long as its data is copied.
    ///
    /// # Errors
    ///
    /// Shows the server's log when that fails.
    pub(crate) fn start_standby(&self) -> Result<Server, String> {
        let builder = Server::builder().setting("primary_conninfo", &self.conninfo("postgres"));
        builder.start_from(self.bindir.clone(), |standby| {
            self.order("stop")?;
            standby.order(&format!("follow {}", self.data_dir().display()))?;
            self.order("start")?;
            self.wait_until_ready()
        })
    }

    fn order(&self, command: &str) -> Result<(), String> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        watchdog
            .order(command)
            .map_err(|error| format!("PostgreSQL: `{command}` failed: {error}\n{}", self.log()))
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let exited = self.dir.join("exited").exists();
            let Err(error) = Client::connect(&self.conninfo("postgres"), NoTls) else {
                return Ok(());
            };
            if exited || Instant::now() > deadline {
                return Err(format!("PostgreSQL does not start: {error:?}\n{}", self.log()));
            }
            thread::sleep(POLL);
        }
    }
}

/// Finds a port outside the range from which the system takes ports for outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = std::process::id() as u16 % 10_000;
    loop {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quote_conninfo(value: &str) -> String {
    if !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\') {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
