//! Inserting events in bulk.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use crate::ground::{Ground, TARGET};
use crate::process::{self, Sample};
use crate::work::{self, Contestant, Results, Role};
use crate::{BoxError, programs, sql, subject};

const QUEUE: &str = "insert";
const TIME: &str = "2024-01-01 12:00:00.123456+00";

/// Measures how long it takes to insert events in one transaction.
///
/// # Errors
///
/// When a contestant fails or inserts the wrong events.
pub(crate) fn measure(ground: &Ground) -> Result<Results, BoxError> {
    let table = ground.queue(TARGET, QUEUE)?;
    let file = ground.file("events.copy");
    write_events(&file, ground.events())?;
    let conninfo = ground.conninfo(TARGET);
    let events = ground.events().to_string();
    let run = |command: Command| -> Result<Sample, BoxError> {
        let sample = process::run(vec![command], &ground.file("log"))?;
        verify(ground, &table)?;
        Ok(sample)
    };
    let contestants = [
        Contestant {
            name: "psql, copy from a file",
            role: Role::Limit,
            turn: Box::new(|_| run(copy_from(ground, &table, &file))),
        },
        Contestant {
            name: "pgq::bulk_insert",
            role: Role::Other,
            turn: Box::new(|_| run(programs::subject(&[subject::INSERT, &conninfo, QUEUE, &events])?)),
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
    let title = format!("insert {} events in bulk", ground.events());
    work::measure(ground, title, ground.events(), &contestants)
}

/// The text format, out of a file that is in the system's cache.
fn copy_from(ground: &Ground, table: &str, file: &Path) -> Command {
    let columns = "ev_type, ev_data, ev_extra1, ev_time";
    let statement = format!(r"\copy {table} ({columns}) from '{}'", file.display());
    programs::psql(ground, TARGET, &statement)
}

fn write_events(path: &Path, events: u64) -> Result<(), BoxError> {
    let texts = subject::texts();
    let mut file = BufWriter::new(File::create(path)?);
    for text in texts.iter().cycle().take(usize::try_from(events)?) {
        writeln!(file, "I\t{text}\tpublic.orders\t{TIME}")?;
    }
    Ok(file.flush()?)
}

/// All but the time, which `bulk_insert` takes from the server.
fn verify(ground: &Ground, table: &str) -> Result<(), BoxError> {
    let made = sql::repeated(ground.events(), subject::DISTINCT);
    let expected = ground.fingerprint(TARGET, sql::PRODUCED, &made)?;
    ground.take(table, sql::PRODUCED, &expected)
}
