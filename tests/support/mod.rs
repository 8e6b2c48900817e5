//! Shared by the tests: one server for the whole run, and a database on it for each test.
#![allow(dead_code, reason = "every group of tests uses another part of it")]

pub(crate) mod amount;
pub(crate) mod browser;
pub(crate) mod certificates;
pub(crate) mod jobs;
pub(crate) mod mail_server;
#[cfg(feature = "jetstream")]
pub(crate) mod nats;
#[cfg(feature = "jetstream")]
pub(crate) mod nats_accounts;
pub(crate) mod output;
pub(crate) mod pgbouncer;
pub(crate) mod programs;
pub(crate) mod queues;
pub(crate) mod random_kills;
pub(crate) mod relay;
pub(crate) mod server;
#[cfg(feature = "spans")]
pub(crate) mod spans;
pub(crate) mod templates;
pub(crate) mod tls_only;
#[cfg(feature = "spans")]
pub(crate) mod tracer;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgq::schema::Kind;
use postgres::Client;

use self::server::{Builder, Server};

pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(180);
const WAIT_POLL: Duration = Duration::from_millis(10);

/// Returns the server of this run, and starts it for the first caller.
///
/// # Panics
///
/// Panics when it cannot be started, with the line that says how to install PostgreSQL if that is the reason.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start().unwrap_or_else(|error| panic!("{error}")))
}

/// Returns a server that offers the extension `pgq`: the one of this run if it does, otherwise another one.
///
/// # Panics
///
/// Panics when there is none, with the line that says how to install it.
pub(crate) fn with_extension() -> &'static Server {
    static OFFERED: OnceLock<bool> = OnceLock::new();
    static OTHER: OnceLock<Server> = OnceLock::new();
    if *OFFERED.get_or_init(|| shared().has_extension("pgq")) {
        return shared();
    }
    OTHER.get_or_init(|| Server::builder().with_pgq().start().unwrap_or_else(|error| panic!("{error}")))
}

/// Describes a private server that offers the extension `pgq`: of the version of this run if that one does.
pub(crate) fn builder_with_extension() -> Builder {
    let builder = Server::builder();
    if shared().has_extension("pgq") { builder } else { builder.with_pgq() }
}

/// Returns a further server with the defaults of [`shared`], for tests that need two.
///
/// # Panics
///
/// As [`shared`].
pub(crate) fn other() -> &'static Server {
    static OTHER: OnceLock<Server> = OnceLock::new();
    OTHER.get_or_init(|| Server::start().unwrap_or_else(|error| panic!("{error}")))
}

/// Returns a number that no other test of this run gets.
pub(crate) fn unique() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// A database on a shared server, dropped together with this value.
pub(crate) struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    /// Creates an empty database whose name begins with `prefix` and is used only once.
    ///
    /// # Panics
    ///
    /// Panics when the server refuses to.
    pub(crate) fn create(prefix: &str) -> Database {
        Database::create_on(shared(), prefix)
    }

    /// Creates such a database on the server that offers the extension `pgq`.
    ///
    /// # Panics
    ///
    /// As [`Database::create`].
    pub(crate) fn create_with_extension(prefix: &str) -> Database {
        Database::create_on(with_extension(), prefix)
    }

    /// Creates such a database on a server that has this kind of PgQ.
    ///
    /// # Panics
    ///
    /// As [`Database::create`].
    pub(crate) fn create_for(kind: Kind, prefix: &str) -> Database {
        match kind {
            Kind::Own => Database::create(prefix),
            Kind::Extension => Database::create_with_extension(prefix),
        }
    }

    /// Creates such a database with an encoding, and connects.
    ///
    /// # Panics
    ///
    /// As [`Database::create`].
    pub(crate) fn create_encoded(encoding: &str, prefix: &str) -> (Database, Client) {
        let name = format!("{prefix}_{}", unique());
        let create = format!("create database {name} encoding '{encoding}' locale 'C' template template0");
        shared().client("postgres").batch_execute(&create).expect("the name is new");
        let database = Database { server: shared(), name };
        let client = database.client();
        (database, client)
    }

    fn create_on(server: &'static Server, prefix: &str) -> Database {
        Database::copy(server, "template1", prefix)
    }

    /// Creates such a database as a copy of another one.
    pub(crate) fn copy(server: &'static Server, template: &str, prefix: &str) -> Database {
        let name = format!("{prefix}_{}", unique());
        server.copy_database(template, &name);
        Database { server, name }
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns its server.
    pub(crate) fn server(&self) -> &'static Server {
        self.server
    }

    /// Returns the superuser's connection string.
    pub(crate) fn conninfo(&self) -> String {
        self.server.conninfo(&self.name)
    }

    /// Connects as the superuser.
    ///
    /// # Panics
    ///
    /// Panics when the server refuses to.
    pub(crate) fn client(&self) -> Client {
        self.server.client(&self.name)
    }
}

impl Drop for Database {
    /// Frees the space; a failure is left to the removal of the server's folder.
    fn drop(&mut self) {
        let _ = self.server.drop_database(&self.name);
    }
}

/// Waits until `check` returns true.
///
/// # Panics
///
/// Panics with `what` when that takes longer than 60 seconds.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_LIMIT;
    while !check() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        thread::sleep(WAIT_POLL);
    }
}
