//! The PostgreSQL of a run.

use std::fs;
use std::thread;
use std::time::Duration;

use postgres::{Client, NoTls};

use crate::process::Used;
use crate::usage::Watch;
use crate::{BoxError, cpu, postgres_server};

const BETWEEN_READINGS: Duration = Duration::from_millis(50);

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// PostgreSQL's default.
    On,
    /// `synchronous_commit = off`.
    Off,
}

impl Durability {
    /// Parses `on`, `off` or `both`.
    ///
    /// # Errors
    ///
    /// On any other text.
    pub(crate) fn parse(text: &str) -> Result<Vec<Durability>, BoxError> {
        match text {
            "on" => Ok(vec![Durability::On]),
            "off" => Ok(vec![Durability::Off]),
            "both" => Ok(vec![Durability::On, Durability::Off]),
            _ => Err(format!("invalid durability `{text}`: it must be on, off or both").into()),
        }
    }

    /// Returns the value of `synchronous_commit`.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Durability::On => "on",
            Durability::Off => "off",
        }
    }
}

/// A server on a port of 127.0.0.1, with PostgreSQL's default settings but for the number of connections.
pub(crate) struct Server {
    server: postgres_server::Server,
    /// The version without the distribution's addition.
    pub(crate) version: String,
}

impl Server {
    /// Starts the server in `PG_BINDIR`, else an installed one.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed.
    pub(crate) fn start(durability: Durability) -> Result<Server, BoxError> {
        let server = postgres_server::Server::builder()
            .durable(true)
            .listen_localhost()
            .setting("max_connections", "500")
            .setting("synchronous_commit", durability.text())
            .start()?;
        let version: String = server.client("postgres").query_one("show server_version", &[])?.get(0);
        let version = version.split(' ').next().unwrap_or_default().to_owned();
        Ok(Server { server, version })
    }

    /// Creates a database without anything of an earlier turn, and lets the server write its dirty pages.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn create_database(&self, name: &str) -> Result<(), BoxError> {
        self.server.drop_database(name)?;
        self.server.create_database(name);
        Ok(self.server.client("postgres").batch_execute("checkpoint")?)
    }

    /// Drops a database with its sessions.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn drop_database(&self, name: &str) -> Result<(), BoxError> {
        Ok(self.server.drop_database(name)?)
    }

    /// Crashes and recovers.
    pub(crate) fn crash(&self) {
        self.server.restart_immediate();
    }

    /// Connects to a database.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn client(&self, database: &str) -> Result<Client, BoxError> {
        Ok(Client::connect(&self.url(database), NoTls)?)
    }

    /// Returns the URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.server.port())
    }

    /// Returns the settings that differ from PostgreSQL's own, and the usual ones.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn settings(&self) -> Result<String, BoxError> {
        let statement = "select string_agg(name || ' = ' || current_setting(name), ', ' order by name) \
             from pg_settings where name in ('fsync', 'jit', 'max_connections', 'max_wal_size', 'shared_buffers', \
             'synchronous_commit', 'wal_segment_size', 'work_mem')";
        Ok(self.server.client("postgres").query_one(statement, &[])?.get(0))
    }

    fn postmaster(&self) -> Result<u32, BoxError> {
        let file = fs::read_to_string(self.server.data_dir().join("postmaster.pid"))?;
        Ok(file.lines().next().unwrap_or_default().parse()?)
    }

    /// Returns the processor time of all processes. A process that ends meanwhile can be missing in one reading, but not
    /// in two.
    fn cpu(&self) -> Result<f64, BoxError> {
        let postmaster = self.postmaster()?;
        let first = cpu::of_server(postmaster)?;
        thread::sleep(BETWEEN_READINGS);
        Ok(cpu::of_server(postmaster)?.max(first))
    }

    fn wal_position(&self) -> Result<f64, BoxError> {
        let statement = "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8";
        Ok(self.server.client("postgres").query_one(statement, &[])?.get(0))
    }

    /// Starts a measurement of the server.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn meter(&self) -> Result<Meter<'_>, BoxError> {
        let postmaster = self.postmaster()?;
        Ok(Meter {
            server: self,
            wal: self.wal_position()?,
            cpu: self.cpu()?,
            memory: Watch::private_of_children(postmaster),
        })
    }
}

/// A measurement of the server that has begun.
pub(crate) struct Meter<'a> {
    server: &'a Server,
    wal: f64,
    cpu: f64,
    memory: Watch,
}

impl Meter<'_> {
    /// Returns the resources that the server has used since the start.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn read(&self) -> Result<Resources, BoxError> {
        let cpu = self.server.cpu()? - self.cpu;
        let wal = self.server.wal_position()? - self.wal;
        Ok(Resources { wal, used: Used { cpu, peak_megabytes: self.memory.megabytes() } })
    }
}

/// The resources of a server.
pub(crate) struct Resources {
    /// Bytes of WAL.
    pub(crate) wal: f64,
    pub(crate) used: Used,
}
