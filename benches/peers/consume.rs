//! Reading a batch without processing its events.

use crate::process::{self, Sample};
use crate::testbed::{SOURCE, Testbed, in_round};
use crate::work::{self, Contestant, Results, Role};
use crate::{BoxError, crate_client, programs, sql};

const QUEUE: &str = "consume";

/// Measures the time of reading all events.
///
/// # Errors
///
/// When a contestant fails or reads the wrong number of events.
pub(crate) fn measure(testbed: &Testbed) -> Result<Results, BoxError> {
    let table = testbed.queue(SOURCE, QUEUE)?;
    for consumer in ["nowhere", "pgq", "python"] {
        testbed.register(QUEUE, consumer)?;
    }
    testbed.fill(QUEUE, &table, testbed.events())?;
    let contestants = [
        Contestant {
            name: "psql, copy to /dev/null",
            role: Role::Limit,
            turn: Box::new(|round| nowhere(testbed, round)),
        },
        Contestant { name: "pgq::Consumer", role: Role::Other, turn: Box::new(|round| ours(testbed, round)) },
        Contestant {
            name: "python-pgq consumer",
            role: Role::Python,
            turn: Box::new(|round| python(testbed, round)),
        },
    ];
    let title = format!("consume {} events, doing nothing", testbed.events());
    work::measure(testbed, title, testbed.events(), &contestants)
}

/// Measures the server alone, without opening and finishing the batch.
fn nowhere(testbed: &Testbed, round: u32) -> Result<Sample, BoxError> {
    let mut client = testbed.client(SOURCE);
    let consumer = in_round("nowhere", round);
    let batch: i64 = client.query_one("select pgq.next_batch($1, $2)", &[&QUEUE, &consumer])?.get(0);
    let events: String = client.query_one("select pgq.batch_event_sql($1)", &[&batch])?.get(0);
    let command = programs::psql(testbed, SOURCE, &sql::copy_nowhere(&events));
    let sample = process::run(vec![command], &testbed.file("log"))?;
    client.query_one("select pgq.finish_batch($1)", &[&batch])?;
    Ok(sample)
}

fn ours(testbed: &Testbed, round: u32) -> Result<Sample, BoxError> {
    let (conninfo, consumer) = (testbed.conninfo(SOURCE), in_round("pgq", round));
    let events = testbed.events().to_string();
    let command = programs::crate_client(&[crate_client::CONSUME, &conninfo, QUEUE, &consumer, &events])?;
    process::run(vec![command], &testbed.file("log"))
}

fn python(testbed: &Testbed, round: u32) -> Result<Sample, BoxError> {
    let (conninfo, consumer) = (testbed.conninfo(SOURCE), in_round("python", round));
    let events = testbed.events().to_string();
    let keys = [
        ("job_name", consumer.as_str()),
        ("db", &conninfo),
        ("pgq_queue_name", QUEUE),
        ("loop_delay", "-1"),
        ("expected_events", &events),
    ];
    let mut command = programs::python("consumer.py");
    command.arg(testbed.config("consumer.ini", "consumer", &keys)?);
    process::run(vec![command], &testbed.file("log"))
}
