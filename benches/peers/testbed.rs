//! The testbed: a server with two databases and their queues.

use std::fs;
use std::path::PathBuf;

use postgres::Client;
use tempfile::TempDir;

use crate::options::Options;
use crate::server::Server;
use crate::{BoxError, sql};

/// The database of the source queues.
pub(crate) const SOURCE: &str = "source";
/// The database of the target queues.
pub(crate) const TARGET: &str = "target";

/// The server of the measurements.
pub(crate) struct Testbed {
    server: Server,
    folder: TempDir,
    events: u64,
    rounds: u32,
}

/// The number of events and the sum of their hashes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) count: i64,
    sum: String,
}

impl Testbed {
    /// Starts a server with PostgreSQL's default settings, and installs PgQ in two databases. `PGQ_SCHEMA` selects the
    /// kind of the schema, which defaults to the extension where the server has it.
    ///
    /// # Errors
    ///
    /// When PostgreSQL or PgQ is not installed.
    pub(crate) fn prepare(options: &Options) -> Result<Testbed, BoxError> {
        let server = Server::builder().durable(true).start()?;
        let kind = std::env::var("PGQ_SCHEMA").ok().map(|kind| kind.parse()).transpose()?;
        for database in [SOURCE, TARGET] {
            server.create_database(database);
            pgq::schema::install_as(&mut server.client(database), kind)?;
        }
        pgq_ext::schema::install(&mut server.client(TARGET))?;
        let folder = tempfile::tempdir()?;
        Ok(Testbed { server, folder, events: options.events, rounds: options.rounds })
    }

    /// Returns the number of events of each work.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Returns the number of turns of each contestant.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Connects to a database.
    pub(crate) fn client(&self, database: &str) -> Client {
        self.server.client(database)
    }

    /// Returns the folder of the server's sockets and its port.
    pub(crate) fn address(&self) -> (String, u16) {
        (self.server.socket_dir().display().to_string(), self.server.port())
    }

    /// Returns the process id of the postmaster.
    ///
    /// # Errors
    ///
    /// When its pidfile cannot be read.
    pub(crate) fn postmaster(&self) -> Result<u32, BoxError> {
        let file = fs::read_to_string(self.server.data_dir().join("postmaster.pid"))?;
        Ok(file.lines().next().unwrap_or_default().parse()?)
    }

    /// Creates another database without PgQ, and connects to it.
    pub(crate) fn create_database(&self, name: &str) -> Client {
        self.server.create_database(name);
        self.client(name)
    }

    /// Returns the connection string of a database.
    pub(crate) fn conninfo(&self, database: &str) -> String {
        self.server.conninfo(database)
    }

    /// Returns the URL of a database, for drivers that read no connection strings.
    pub(crate) fn url(&self, database: &str) -> String {
        let (folder, port) = self.address();
        format!("postgres://postgres@localhost:{port}/{database}?host={folder}&sslmode=disable")
    }

    /// Returns psql of the server's version, without a wrapper script.
    pub(crate) fn psql(&self) -> PathBuf {
        let beside = self.server.bindir().join("psql");
        if beside.is_file() { beside } else { PathBuf::from("psql") }
    }

    /// Returns the path of a temporary file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a config file and returns its path.
    pub(crate) fn config(
        &self,
        name: &str,
        section: &str,
        keys: &[(&str, &str)],
    ) -> Result<PathBuf, BoxError> {
        let path = self.file(name);
        let lines: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        fs::write(&path, format!("[{section}]\n{lines}"))?;
        Ok(path)
    }

    /// Runs a checkpoint, so that no contestant writes the dirty pages of another one.
    pub(crate) fn settle(&self) -> Result<(), BoxError> {
        Ok(self.client(SOURCE).batch_execute("checkpoint")?)
    }

    /// Creates a queue and returns its table.
    pub(crate) fn queue(&self, database: &str, queue: &str) -> Result<String, BoxError> {
        let mut client = self.client(database);
        pgq::admin::create_queue(&mut client, queue)?;
        Ok(client.query_one("select pgq.current_event_table($1)", &[&queue])?.get(0))
    }

    /// Registers a consumer for each round.
    pub(crate) fn register(&self, queue: &str, consumer: &str) -> Result<(), BoxError> {
        let mut client = self.client(SOURCE);
        for round in 1..=self.rounds {
            pgq::admin::register_consumer(&mut client, queue, &in_round(consumer, round))?;
        }
        Ok(())
    }

    /// Fills a queue of the source, with a tick after every `per_tick` events.
    ///
    /// Reads the events once, since the first reader of a row sets its hint bits.
    pub(crate) fn fill(&self, queue: &str, table: &str, per_tick: u64) -> Result<(), BoxError> {
        self.fill_events(queue, table, self.events, per_tick)
    }

    /// As [`fill`](Testbed::fill), with this number of events.
    pub(crate) fn fill_events(
        &self,
        queue: &str,
        table: &str,
        events: u64,
        per_tick: u64,
    ) -> Result<(), BoxError> {
        let mut client = self.client(SOURCE);
        client.execute("select pgq.set_queue_config($1, 'ticker_max_count', '1')", &[&queue])?;
        let ticks_before = ticks(&mut client, queue)?;
        let ticks_wanted = events.div_ceil(per_tick);
        for tick in 0..ticks_wanted {
            let (from, to) = (tick * per_tick + 1, ((tick + 1) * per_tick).min(events));
            client.batch_execute(&sql::fill(table, from, to))?;
            client.query("select pgq.ticker($1)", &[&queue])?;
        }
        let made = ticks(&mut client, queue)? - ticks_before;
        if made != i64::try_from(ticks_wanted)? {
            return Err(format!("{made} ticks instead of {ticks_wanted}").into());
        }
        self.fingerprint(SOURCE, sql::CARRIED, table).map(|_| ())
    }

    /// Fills a queue of the source with one batch of events of 1,000 keys.
    pub(crate) fn fill_keyed(&self, queue: &str, table: &str, events: u64) -> Result<(), BoxError> {
        let mut client = self.client(SOURCE);
        client.execute("select pgq.set_queue_config($1, 'ticker_max_count', '1')", &[&queue])?;
        client.batch_execute(&sql::fill_keyed(table, events))?;
        client.query("select pgq.ticker($1)", &[&queue])?;
        self.fingerprint(SOURCE, sql::CARRIED, table).map(|_| ())
    }

    /// Fails unless a consumer has finished all batches, and has no event to be retried.
    pub(crate) fn require_consumed(&self, queue: &str, consumer: &str) -> Result<(), BoxError> {
        let consumed = self.client(SOURCE).query_one(sql::IS_CONSUMED, &[&queue, &consumer])?;
        if consumed.get(0) { Ok(()) } else { Err(format!("`{consumer}` has left events behind").into()) }
    }

    /// Counts events and sums their hashes.
    pub(crate) fn fingerprint(
        &self,
        database: &str,
        columns: &str,
        from: &str,
    ) -> Result<Fingerprint, BoxError> {
        let row = self.client(database).query_one(&sql::fingerprint(columns, from), &[])?;
        Ok(Fingerprint { count: row.get(0), sum: row.get(1) })
    }

    /// Verifies the events in a table of the target, and truncates the table.
    pub(crate) fn take(&self, table: &str, columns: &str, expected: &Fingerprint) -> Result<(), BoxError> {
        let found = self.fingerprint(TARGET, columns, table)?;
        if found != *expected {
            return Err(format!("wrong events: {found:?} instead of {expected:?}").into());
        }
        Ok(self.client(TARGET).batch_execute(&format!("truncate {table}"))?)
    }
}

/// Returns the name of a consumer in a round.
pub(crate) fn in_round(consumer: &str, round: u32) -> String {
    format!("{consumer}_{round}")
}

fn ticks(client: &mut Client, queue: &str) -> Result<i64, BoxError> {
    let statement =
        "select count(*) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = $1";
    Ok(client.query_one(statement, &[&queue])?.get(0))
}
