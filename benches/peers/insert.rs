//! Inserting events in bulk.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use crate::process::{self, Sample};
use crate::testbed::{TARGET, Testbed};
use crate::work::{self, Contestant, Results, Role};
use crate::{BoxError, crate_client, programs, sql};

const QUEUE: &str = "insert";
const TIME: &str = "2024-01-01 12:00:00.123456+00";

/// Measures the time of inserting events in one transaction.
///
/// # Errors
///
/// When a contestant fails or inserts the wrong events.
pub(crate) fn measure(testbed: &Testbed) -> Result<Results, BoxError> {
    let table = testbed.queue(TARGET, QUEUE)?;
    let file = testbed.file("events.copy");
    write_events(&file, testbed.events())?;
    let conninfo = testbed.conninfo(TARGET);
    let events = testbed.events().to_string();
    let run = |command: Command| -> Result<Sample, BoxError> {
        let sample = process::run(vec![command], &testbed.file("log"))?;
        verify(testbed, &table)?;
        Ok(sample)
    };
    let contestants = [
        Contestant {
            name: "psql, copy from a file",
            role: Role::Limit,
            turn: Box::new(|_| run(copy_from(testbed, &table, &file))),
        },
        Contestant {
            name: "pgq::bulk_insert",
            role: Role::Other,
            turn: Box::new(|_| {
                run(programs::crate_client(&[crate_client::INSERT, &conninfo, QUEUE, &events])?)
            }),
        },
        Contestant {
            name: "python-pgq bulk_insert_events",
            role: Role::Python,
            turn: Box::new(|_| {
                let mut command = programs::python("inserter.py");
                command.args([&conninfo, QUEUE, &events]);
                run(command)
            }),
        },
    ];
    let title = format!("insert {} events in bulk", testbed.events());
    work::measure(testbed, title, testbed.events(), &contestants)
}

/// Copies in the text format, from a file in the system's cache.
fn copy_from(testbed: &Testbed, table: &str, file: &Path) -> Command {
    let columns = "ev_type, ev_data, ev_extra1, ev_time";
    let statement = format!(r"\copy {table} ({columns}) from '{}'", file.display());
    programs::psql(testbed, TARGET, &statement)
}

fn write_events(path: &Path, events: u64) -> Result<(), BoxError> {
    let texts = crate_client::texts();
    let mut file = BufWriter::new(File::create(path)?);
    for text in texts.iter().cycle().take(usize::try_from(events)?) {
        writeln!(file, "I\t{text}\tpublic.orders\t{TIME}")?;
    }
    Ok(file.flush()?)
}

/// Verifies all columns except the time, which `bulk_insert` takes from the server.
fn verify(testbed: &Testbed, table: &str) -> Result<(), BoxError> {
    let made = sql::repeated(testbed.events(), crate_client::DISTINCT);
    let expected = testbed.fingerprint(TARGET, sql::PRODUCED, &made)?;
    testbed.take(table, sql::PRODUCED, &expected)
}
