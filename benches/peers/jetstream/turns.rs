//! Turns of movers and publishers, each into a new stream.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::Command;

use super::messages::Messages;
use super::nats::{Nats, STREAM, SUBJECT_TEMPLATE};
use super::publisher;
use crate::process::{self, Sample};
use crate::testbed::{SOURCE, Testbed, in_round};
use crate::ticking::Table;
use crate::work::{Results, Row, median};
use crate::{BoxError, cpu, programs};

const PROGRAM: &str = "jetstream_mover";

/// A publisher that keeps no position.
pub(super) struct Publisher {
    pub(super) name: &'static str,
    /// The number of messages for which there is one acknowledgement.
    pub(super) every: &'static str,
    /// The most outstanding acknowledgements.
    pub(super) outstanding: &'static str,
    pub(super) reads_queue: bool,
}

/// A filled queue.
pub(super) struct Source<'a> {
    testbed: &'a Testbed,
    queue: &'static str,
    table: String,
    messages: Messages,
}

impl<'a> Source<'a> {
    /// Creates a queue with its consumers, and fills it.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(super) fn fill(
        testbed: &'a Testbed,
        queue: &'static str,
        movers: &[&str],
        per_tick: u64,
    ) -> Result<Source<'a>, BoxError> {
        let table = testbed.queue(SOURCE, queue)?;
        for mover in movers {
            testbed.register(queue, &format!("{queue}_{mover}"))?;
        }
        testbed.fill(queue, &table, per_tick)?;
        let messages = Messages::of_table(testbed, &table)?;
        Ok(Source { testbed, queue, table, messages })
    }
}

/// The turns of a work.
pub(super) struct Turns<'a> {
    source: &'a Source<'a>,
    nats: &'a Nats,
    /// The seconds of the program, the NATS servers and PostgreSQL, for each turn.
    times: RefCell<Vec<[f64; 3]>>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(source: &'a Source<'a>, nats: &'a Nats) -> Turns<'a> {
        Turns { source, nats, times: RefCell::default() }
    }

    /// Measures the mover.
    ///
    /// # Errors
    ///
    /// When the mover fails, leaves events behind or stores the wrong messages.
    pub(super) fn mover(&self, name: &str, round: u32, more: &[(&str, &str)]) -> Result<Sample, BoxError> {
        let Source { testbed, queue, .. } = self.source;
        let consumer = in_round(&format!("{queue}_{name}"), round);
        let sample = self.run(|url| {
            let file = mover_config(testbed, url, queue, &consumer, more)?;
            forget_position(testbed, &file)?;
            let mut command = programs::program(PROGRAM)?;
            command.arg(file);
            Ok(command)
        })?;
        testbed.require_consumed(queue, &consumer)?;
        Ok(sample)
    }

    /// Measures a publisher.
    ///
    /// # Errors
    ///
    /// When the publisher fails or the stream has other messages than the queue has events.
    pub(super) fn publisher(&self, publisher: &Publisher, has_headers: bool) -> Result<Sample, BoxError> {
        let Source { testbed, table, .. } = self.source;
        let events = testbed.events().to_string();
        let form = if has_headers { "headers" } else { "plain" };
        self.run(|url| {
            let args = [publisher::PUBLISH, url, &events, form, publisher.every, publisher.outstanding];
            let mut command = programs::crate_client(&args)?;
            if publisher.reads_queue {
                command.args([&testbed.conninfo(SOURCE), table]);
            }
            Ok(command)
        })
    }

    fn run(&self, command: impl FnOnce(&str) -> Result<Command, BoxError>) -> Result<Sample, BoxError> {
        let url = self.nats.create_stream()?;
        let command = command(&url)?;
        let before = self.servers()?;
        let sample = process::run(vec![command], &self.source.testbed.file("log"))?;
        let after = self.servers()?;
        self.nats.messages()?.require(&self.source.messages)?;
        self.nats.delete_stream()?;
        self.times.borrow_mut().push([sample.cpu, after[0] - before[0], after[1] - before[1]]);
        Ok(sample)
    }

    /// Returns the seconds of the NATS servers and of PostgreSQL so far.
    fn servers(&self) -> Result<[f64; 2], BoxError> {
        let nats: Result<Vec<f64>, BoxError> = self.nats.pids().into_iter().map(cpu::of).collect();
        Ok([nats?.iter().sum(), cpu::of_server(self.source.testbed.postmaster()?)?])
    }

    /// Returns the medians of the processor times, for contestants that took the turns in each round.
    pub(super) fn processor_times(&self, results: &Results) -> Table {
        let times = self.times.borrow();
        let line = |(number, row): (usize, &Row)| {
            let own = || times.iter().skip(number).step_by(results.rows.len());
            let parts = [0, 1, 2].map(|part| median(&own().map(|times| times[part]).collect::<Vec<_>>()));
            (row.name.to_owned(), vec![parts[0], parts[1], parts[2], parts.iter().sum()])
        };
        Table {
            title: format!("{}: seconds of a processor", results.title),
            columns: vec!["program", "NATS", "PostgreSQL", "sum"],
            rows: results.rows.iter().enumerate().map(line).collect(),
        }
    }
}

/// Writes the config file of a mover.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn mover_config(
    testbed: &Testbed,
    url: &str,
    queue: &str,
    consumer: &str,
    more: &[(&str, &str)],
) -> Result<PathBuf, BoxError> {
    let conninfo = testbed.conninfo(SOURCE);
    let mut keys = vec![
        ("job_name", consumer),
        ("src_db", &conninfo),
        ("pgq_queue_name", queue),
        ("nats_url", url),
        ("nats_stream", STREAM),
        ("nats_subject", SUBJECT_TEMPLATE),
    ];
    keys.extend_from_slice(more);
    testbed.config("mover.ini", PROGRAM, &keys)
}

/// Permits the mover to start in a stream that has no position.
///
/// # Errors
///
/// When the mover fails.
pub(crate) fn forget_position(testbed: &Testbed, file: &PathBuf) -> Result<(), BoxError> {
    let mut command = programs::program(PROGRAM)?;
    command.arg(file).arg("--reset");
    process::run(vec![command], &testbed.file("log")).map(|_| ())
}
