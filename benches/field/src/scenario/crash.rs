//! A consumer that is killed several times while events come, then a crash of the server.

use std::thread;
use std::time::{Duration, Instant};

use super::Outcome;
use crate::BoxError;
use crate::process::Adapter;
use crate::run::{Consume, Run};

/// The table for the writes of handlers. Without a key, so that doubled events can be counted.
const TABLE: &str = "create table handled (n bigint not null, by text)";
/// Events a second while the consumer is killed.
const RATE: u64 = 1_000;
const WORKERS: u32 = 4;
const WORK: Duration = Duration::from_millis(1);
const POLL: Duration = Duration::from_millis(50);

pub(super) fn measure(run: &mut Run<'_>) -> Result<Outcome, BoxError> {
    let events = run.size.before_crashes;
    run.client()?.batch_execute(TABLE)?;
    run.setup(1)?;
    run.serve()?;
    let (consumer, produced) = kill_again_and_again(run, Duration::from_secs(events / RATE))?;
    let all = produced + events;
    run.produce(events..2 * events, "100")?;
    run.server.crash();
    let began = Instant::now();
    run.serve_again()?;
    let consumer = wait_until_handled(run, Some(consumer), all)?;
    let mut outcome = Outcome::default();
    outcome.add("seconds after the last crash", began.elapsed().as_secs_f64());
    if let Some(consumer) = consumer {
        consumer.stop()?;
    }
    let statement = "select count(distinct n), count(*) - count(distinct n) from handled";
    let row = run.client()?.query_one(statement, &[])?;
    outcome.add("not handled", all as f64 - row.get::<_, i64>(0) as f64);
    outcome.add("handled again", row.get::<_, i64>(1) as f64);
    Ok(outcome)
}

/// Kills consumers at equal distances while events come, and returns the last consumer, which lives, and the number
/// of events.
fn kill_again_and_again(run: &Run<'_>, time: Duration) -> Result<(Adapter, u64), BoxError> {
    let producer = run.produce_at(RATE, time)?;
    let kills = u32::try_from(run.size.kills)?;
    let began = Instant::now();
    let mut consumer = start(run)?;
    for kill in 1..=kills {
        let due = began + time * kill / (kills + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        consumer.kill()?;
        consumer = start(run)?;
    }
    let (produced, _) = run.produced(producer, time)?;
    Ok((consumer, produced))
}

fn start(run: &Run<'_>) -> Result<Adapter, BoxError> {
    let consume =
        Consume { workers: WORKERS, work: WORK, until: None, into_table: true, ..Consume::nothing(0) };
    run.start_consumer(&consume)
}

/// Waits until so many events were handled, or until the limit. Starts a consumer again that has ended by itself.
fn wait_until_handled(
    run: &mut Run<'_>,
    mut consumer: Option<Adapter>,
    events: u64,
) -> Result<Option<Adapter>, BoxError> {
    let deadline = Instant::now() + run.size.recovery;
    let mut client = run.client()?;
    while Instant::now() < deadline {
        let handled: i64 = client.query_one("select count(distinct n) from handled", &[])?.get(0);
        if u64::try_from(handled)? >= events {
            break;
        }
        run.serve_again()?;
        if consumer.as_mut().is_none_or(Adapter::has_ended) {
            consumer = Some(start(run)?);
        }
        thread::sleep(POLL);
    }
    Ok(consumer)
}
