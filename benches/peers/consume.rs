//! Reading a batch and doing nothing with it.

use crate::ground::{Ground, SOURCE, in_round};
use crate::process::{self, Sample};
use crate::work::{self, Contestant, Results, Role};
use crate::{BoxError, programs, sql, subject};

const QUEUE: &str = "consume";

/// Measures how long it takes to see every event.
///
/// # Errors
///
/// When a contestant fails or sees the wrong number of events.
pub(crate) fn measure(ground: &Ground) -> Result<Results, BoxError> {
    let table = ground.queue(SOURCE, QUEUE)?;
    for consumer in ["nowhere", "pgq", "python"] {
        ground.register(QUEUE, consumer)?;
    }
    ground.fill(QUEUE, &table, ground.events())?;
    let contestants = [
        Contestant {
            name: "psql, copy to /dev/null",
            role: Role::Limit,
            turn: Box::new(|round| nowhere(ground, round)),
        },
        Contestant { name: "pgq::Consumer", role: Role::Other, turn: Box::new(|round| ours(ground, round)) },
        Contestant {
            name: "python-pgq consumer",
            role: Role::Python,
            turn: Box::new(|round| python(ground, round)),
        },
    ];
    let title = format!("consume {} events, doing nothing", ground.events());
    work::measure(ground, title, ground.events(), &contestants)
}

/// The server alone, which opens and finishes the batch outside of the measurement.
fn nowhere(ground: &Ground, round: u32) -> Result<Sample, BoxError> {
    let mut client = ground.client(SOURCE);
    let consumer = in_round("nowhere", round);
    let batch: i64 = client.query_one("select pgq.next_batch($1, $2)", &[&QUEUE, &consumer])?.get(0);
    let events: String = client.query_one("select pgq.batch_event_sql($1)", &[&batch])?.get(0);
    let command = programs::psql(ground, SOURCE, &sql::copy_nowhere(&events));
    let sample = process::run(vec![command], &ground.file("log"))?;
    client.query_one("select pgq.finish_batch($1)", &[&batch])?;
    Ok(sample)
}

fn ours(ground: &Ground, round: u32) -> Result<Sample, BoxError> {
    let (conninfo, consumer) = (ground.conninfo(SOURCE), in_round("pgq", round));
    let events = ground.events().to_string();
    let command = programs::subject(&[subject::CONSUME, &conninfo, QUEUE, &consumer, &events])?;
    process::run(vec![command], &ground.file("log"))
}

fn python(ground: &Ground, round: u32) -> Result<Sample, BoxError> {
    let (conninfo, consumer) = (ground.conninfo(SOURCE), in_round("python", round));
    let events = ground.events().to_string();
    let keys = [
        ("job_name", consumer.as_str()),
        ("db", &conninfo),
        ("pgq_queue_name", QUEUE),
        ("loop_delay", "-1"),
        ("expected_events", &events),
    ];
    let mut command = programs::python("consumer.py");
    command.arg(ground.config("consumer.ini", "consumer", &keys)?);
    process::run(vec![command], &ground.file("log"))
}
