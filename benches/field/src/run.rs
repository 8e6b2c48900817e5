//! One turn of a contestant: a new database, and the processes that use it.

use std::ops::Range;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use tempfile::TempDir;

use crate::contestant::Contestant;
use crate::process::{Adapter, Used};
use crate::record::Figures;
use crate::server::{self, Server};
use crate::size::Size;
use crate::{BoxError, logs};

const DATABASE: &str = "field";
/// The bytes of an event's data.
const PAYLOAD: &str = "75";
const POLL: Duration = Duration::from_millis(50);
/// The limit for tasks that do not depend on the number of events.
const SOON: Duration = Duration::from_secs(60);

/// A turn.
pub(crate) struct Run<'a> {
    pub(crate) server: &'a Server,
    pub(crate) contestant: &'a Contestant,
    pub(crate) size: &'a Size,
    url: String,
    folder: TempDir,
    serving: Option<Adapter>,
    versions: Vec<(String, String)>,
}

/// A measurement of resources that has begun.
pub(crate) struct Meter<'a> {
    server: server::Meter<'a>,
    served: Used,
}

/// A consumer to start.
pub(crate) struct Consume<'a> {
    pub(crate) consumer: u32,
    pub(crate) workers: u32,
    pub(crate) work: Duration,
    /// The number of events after which the consumer ends. Without it, it runs until it is stopped.
    pub(crate) until: Option<u64>,
    pub(crate) poison: Option<u64>,
    /// Whether handlers write into the table `handled`.
    pub(crate) into_table: bool,
    pub(crate) log: &'a str,
}

impl Consume<'_> {
    /// The workers of a consumer unless the scenario says otherwise.
    pub(crate) const WORKERS: u32 = 16;

    /// Describes a consumer that does nothing with so many events.
    pub(crate) fn nothing(until: u64) -> Consume<'static> {
        Consume {
            consumer: 0,
            workers: Consume::WORKERS,
            work: Duration::ZERO,
            until: Some(until),
            poison: None,
            into_table: false,
            log: "consumer",
        }
    }
}

impl<'a> Run<'a> {
    /// Creates the database.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn begin(
        server: &'a Server,
        contestant: &'a Contestant,
        size: &'a Size,
    ) -> Result<Run<'a>, BoxError> {
        server.create_database(DATABASE)?;
        let (url, folder) = (server.url(DATABASE), tempfile::tempdir()?);
        Ok(Run { server, contestant, size, url, folder, serving: None, versions: Vec::new() })
    }

    /// Installs the contestant with so many consumers.
    ///
    /// # Errors
    ///
    /// When the adapter fails.
    pub(crate) fn setup(&mut self, consumers: u32) -> Result<(), BoxError> {
        let adapter = self.start("setup", &["setup", "--consumers", &consumers.to_string()])?;
        let line = adapter.wait_for("descriptor", SOON)?;
        adapter.finish()?;
        let text = |name: &str| line.value.get(name).map(|value| (name.to_owned(), plain(value)));
        self.versions = ["system", "version", "schema_version"].into_iter().filter_map(text).collect();
        Ok(())
    }

    /// Returns the versions that the contestant has reported.
    pub(crate) fn versions(&self) -> &[(String, String)] {
        &self.versions
    }

    /// Starts the part that runs beside producers and consumers, if there is one.
    ///
    /// # Errors
    ///
    /// When the adapter fails.
    pub(crate) fn serve(&mut self) -> Result<(), BoxError> {
        if self.contestant.serve {
            let adapter = self.start("serve", &["serve"])?;
            adapter.wait_for("ready", SOON)?;
            self.serving = Some(adapter);
        }
        Ok(())
    }

    /// Starts [`serve`](Run::serve) again if its process has ended.
    ///
    /// # Errors
    ///
    /// When the adapter fails.
    pub(crate) fn serve_again(&mut self) -> Result<(), BoxError> {
        if self.serving.as_mut().is_some_and(Adapter::has_ended) { self.serve() } else { Ok(()) }
    }

    /// Produces the events of a range, and returns the seconds for them and the resources of the process.
    ///
    /// # Errors
    ///
    /// When the adapter fails.
    pub(crate) fn produce(&self, events: Range<u64>, per_transaction: &str) -> Result<(f64, Used), BoxError> {
        let (from, count) = (events.start.to_string(), (events.end - events.start).to_string());
        let adapter = self.producer(&from, &["--count", &count, "--per-transaction", per_transaction])?;
        let line = adapter.wait_for("produced", self.size.limit)?;
        let seconds = line.value.get("seconds").and_then(serde_json::Value::as_f64);
        Ok((seconds.ok_or("no seconds in the line `produced`")?, adapter.finish()?))
    }

    /// Starts a producer of one event a transaction at a fixed rate.
    ///
    /// # Errors
    ///
    /// When the adapter does not start.
    pub(crate) fn produce_at(&self, rate: u64, time: Duration) -> Result<Adapter, BoxError> {
        let seconds = time.as_secs().to_string();
        self.producer("0", &["--rate", &rate.to_string(), "--seconds", &seconds, "--per-transaction", "1"])
    }

    /// Waits for the end of a producer at a fixed rate, and returns the number of events that it has inserted in its time, and
    /// the resources that it has used.
    ///
    /// # Errors
    ///
    /// When the adapter fails.
    pub(crate) fn produced(&self, producer: Adapter, time: Duration) -> Result<(u64, Used), BoxError> {
        let line = producer.wait_for("produced", time + self.size.limit)?;
        let count = line.value.get("count").and_then(serde_json::Value::as_u64);
        Ok((count.ok_or("no count in the line `produced`")?, producer.finish()?))
    }

    /// Waits until a consumer has all events, or stops it after the limit. The consumer itself waits for the events that
    /// were due, so it is stopped when it has those that a slow producer has inserted.
    ///
    /// # Errors
    ///
    /// When the adapter fails.
    pub(crate) fn consumed(
        &self,
        consumer: Adapter,
        produced: u64,
        due: u64,
        limit: Duration,
    ) -> Result<Used, BoxError> {
        if produced == due {
            return consumer.consumed_within(limit);
        }
        let deadline = Instant::now() + limit;
        while logs::count_seen(&self.file("consumer"))? < produced && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        consumer.stop()
    }

    fn producer(&self, from: &str, pace: &[&str]) -> Result<Adapter, BoxError> {
        let log = self.file("produced").display().to_string();
        let common =
            ["produce", "--from", from, "--connections", "1", "--payload-bytes", PAYLOAD, "--log", &log];
        self.start("produce", &[&common, pace].concat())
    }

    /// Starts a consumer, and returns when it polls.
    ///
    /// # Errors
    ///
    /// When the adapter fails.
    pub(crate) fn consume(&self, consume: &Consume<'_>) -> Result<Adapter, BoxError> {
        let adapter = self.start_consumer(consume)?;
        adapter.wait_for("ready", SOON)?;
        Ok(adapter)
    }

    /// Starts a consumer.
    ///
    /// # Errors
    ///
    /// When the adapter does not start.
    pub(crate) fn start_consumer(&self, consume: &Consume<'_>) -> Result<Adapter, BoxError> {
        let (consumer, workers) = (consume.consumer.to_string(), consume.workers.to_string());
        let (work, log) =
            (consume.work.as_millis().to_string(), self.file(consume.log).display().to_string());
        let until = consume.until.map_or("3600".to_owned(), |count| count.to_string());
        let end = if consume.until.is_some() { "--until" } else { "--seconds" };
        let mut args = vec!["consume", "--consumer", &consumer, "--workers", &workers, "--work-ms", &work];
        args.extend([end, &until, "--log", &log]);
        let poison = consume.poison.map(|number| number.to_string());
        args.extend(poison.iter().flat_map(|number| ["--poison", number]));
        args.extend(consume.into_table.then_some("--into-table"));
        self.start(consume.log, &args)
    }

    fn start(&self, name: &str, args: &[&str]) -> Result<Adapter, BoxError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let command = self.contestant.command(&self.url, &args)?;
        let name = format!("{} {}", self.contestant.name, name);
        Adapter::start(&name, command, &self.file("stderr"))
    }

    /// Returns the path of a file of this turn.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Connects to the database of this turn.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn client(&self) -> Result<Client, BoxError> {
        self.server.client(DATABASE)
    }

    /// Starts a measurement of the resources.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn meter(&self) -> Result<Meter<'a>, BoxError> {
        Ok(Meter { server: self.server.meter()?, served: self.served()? })
    }

    /// Returns the resources that [`serve`](Run::serve) has used so far.
    fn served(&self) -> Result<Used, BoxError> {
        self.serving.as_ref().map_or(Ok(Used::default()), Adapter::used)
    }

    /// Adds the resources since the start of the measurement: those of the server, and those of the clients with the process
    /// that runs beside them.
    ///
    /// # Errors
    ///
    /// When the server fails, or the process beside the clients has ended.
    pub(crate) fn add_used(
        &self,
        meter: &Meter<'_>,
        figures: &mut Figures,
        mut clients: Used,
        events: u64,
    ) -> Result<(), BoxError> {
        let served = self.served()?;
        clients += Used { cpu: served.cpu - meter.served.cpu, ..served };
        let server = meter.server.read()?;
        let each = |cpu: f64| cpu * 1e6 / events as f64;
        let used = [
            ("WAL B/event", server.wal / events as f64),
            ("server CPU µs/event", each(server.used.cpu)),
            ("client CPU µs/event", each(clients.cpu)),
            ("server memory MB", server.used.peak_megabytes),
            ("client memory MB", clients.peak_megabytes),
            ("memory MB", server.used.peak_megabytes + clients.peak_megabytes),
        ];
        figures.extend(used.map(|(name, value)| (name.to_owned(), value)));
        Ok(())
    }

    /// Adds the sizes of the database's own tables and indexes, and the dead rows that the server counts.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(crate) fn add_sizes(&self, client: &mut Client, figures: &mut Figures) -> Result<(), BoxError> {
        let statement = "select coalesce(sum(pg_table_size(relid)), 0)::float8 / 1e6, \
             coalesce(sum(pg_indexes_size(relid)), 0)::float8 / 1e6, coalesce(sum(n_dead_tup), 0)::float8 \
             from pg_stat_user_tables";
        let row = client.query_one(statement, &[])?;
        for (place, name) in ["tables MB", "indexes MB", "dead rows"].into_iter().enumerate() {
            figures.insert(name.to_owned(), row.get(place));
        }
        Ok(())
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.serving = None;
        // The next turn drops it too, and reports an error.
        let _ = self.server.drop_database(DATABASE);
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
