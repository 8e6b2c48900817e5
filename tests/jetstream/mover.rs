//! A mover in a folder of its own, and the source that it reads.

use std::fs;
use std::process::{Command, Output};

use postgres::Client;
use tempfile::TempDir;

use super::{JOB, QUEUE, STREAM};
use crate::support::programs::{Running, command, errors, succeed};
use crate::support::server::Server;
use crate::support::{Database, output, queues};

/// A database with the queue.
pub(super) enum Source {
    Shared(Database),
    /// On a server that the test may restart.
    Own(Server),
}

impl Source {
    pub(super) fn shared() -> Source {
        Source::Shared(queues::database("jetstream", QUEUE).0)
    }

    pub(super) fn own() -> Source {
        let source = Source::Own(Server::start().unwrap_or_else(|error| panic!("{error}")));
        let mut client = source.client();
        queues::install(&mut client);
        queues::create(&mut client, QUEUE);
        source
    }

    pub(super) fn conninfo(&self) -> String {
        match self {
            Source::Shared(database) => database.conninfo(),
            Source::Own(server) => server.conninfo("postgres"),
        }
    }

    pub(super) fn client(&self) -> Client {
        match self {
            Source::Shared(database) => database.client(),
            Source::Own(server) => server.client("postgres"),
        }
    }

    /// Returns the name of the database.
    pub(super) fn name(&self) -> &str {
        match self {
            Source::Shared(database) => database.name(),
            Source::Own(_) => "postgres",
        }
    }

    /// Returns the server.
    pub(super) fn server(&self) -> &Server {
        match self {
            Source::Shared(database) => database.server(),
            Source::Own(server) => server,
        }
    }

    /// Inserts events and ticks.
    pub(super) fn insert(&self, from: i64, count: i64) {
        let mut client = self.client();
        queues::insert(&mut client, QUEUE, from, count);
        queues::tick(&mut client, QUEUE);
    }
}

/// A folder with a mover's file.
pub(super) struct Mover {
    folder: TempDir,
    source: String,
    url: String,
}

impl Mover {
    pub(super) fn new(source: &str, url: &str) -> Mover {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mover = Mover { folder, source: source.to_owned(), url: url.to_owned() };
        mover.write_ini(&[]);
        mover
    }

    /// Writes the mover's file; `changes` are values of keys.
    pub(super) fn write_ini(&self, changes: &[(&str, &str)]) {
        let mut keys = vec![
            ("job_name", JOB),
            ("src_db", &self.source),
            ("pgq_queue_name", QUEUE),
            ("nats_url", &self.url),
            ("nats_stream", STREAM),
            ("nats_subject", "orders.{type}"),
            ("nats_create_stream", "1"),
            ("logfile", "log"),
            ("pidfile", "pid"),
            ("loop_delay", "0.05"),
            ("exception_sleep", "0.05"),
        ];
        for (key, value) in changes {
            keys.retain(|(existing, _)| existing != key);
            keys.push((key, value));
        }
        let lines: Vec<String> = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let text = format!("[jetstream_mover]\n{}", lines.concat());
        fs::write(self.folder.path().join("mover.ini"), text).expect("the folder is writable");
    }

    pub(super) fn command(&self, switches: &[&str]) -> Command {
        let mut command = command("jetstream_mover", self.folder.path());
        command.args(switches).arg("mover.ini");
        command
    }

    pub(super) fn start(&self) -> Running {
        Running::start(&mut self.command(&[]))
    }

    pub(super) fn register(&self) {
        succeed(&mut self.command(&["--register"]));
    }

    /// Moves all that is there and ends.
    pub(super) fn drain(&self) -> Output {
        succeed(&mut self.command(&["--set", "loop_delay=0"]))
    }

    /// Runs the mover as [`drain`](Mover::drain) does, and returns its error line.
    #[track_caller]
    pub(super) fn failure(&self) -> String {
        let output = self.command(&["--set", "loop_delay=0"]).output().expect("the program starts");
        assert!(!output.status.success(), "{}", errors(&output));
        errors(&output)
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        output::keep_logs(self.folder.path());
    }
}
