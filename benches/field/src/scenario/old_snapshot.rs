//! A steady rate while a transaction of another session holds an old snapshot, as a dump or a report does.

use std::thread;
use std::time::{Duration, Instant};

use super::{Outcome, steady};
use crate::BoxError;
use crate::logs::{self, Latency};
use crate::record::Figures;
use crate::run::{Consume, Run};

/// Events a second.
const RATE: u64 = 800;
const WORK: Duration = Duration::from_millis(1);
/// The time for the last events to arrive.
const GRACE: Duration = Duration::from_secs(15);

pub(super) fn measure(run: &mut Run<'_>) -> Result<Outcome, BoxError> {
    let (before, under) = (run.size.before_snapshot, run.size.under_snapshot);
    let time = before + under;
    let due = RATE * time.as_secs();
    run.setup(1)?;
    run.serve()?;
    let consumer = run.consume(&Consume { work: WORK, ..Consume::nothing(due) })?;
    let meter = run.meter()?;
    let producer = run.produce_at(RATE, time)?;
    let mut series = sample(run, Instant::now(), before, time)?;
    let (events, mut used) = run.produced(producer, time)?;
    let mut outcome = Outcome::default();
    used += run.consumed(consumer, events, due, GRACE)?;
    run.add_used(&meter, &mut outcome.figures, used, events)?;
    let produced = logs::produced(&run.file("produced"))?;
    let latencies = logs::latencies(&produced, &logs::seen(&run.file("consumer"))?);
    add_rates(&mut series, &latencies, run.size.sample.as_secs_f64());
    add_figures(&mut outcome, &latencies, before.as_secs_f64(), time.as_secs_f64());
    outcome.add("produced events/s", events as f64 / logs::seconds(&produced));
    outcome.add("not produced", (due - events) as f64);
    outcome.add("missing", events.saturating_sub(latencies.len() as u64) as f64);
    for name in ["tables MB", "indexes MB", "dead rows"] {
        outcome.add(name, series.last().and_then(|last| last.get(name)).copied().unwrap_or(0.0));
    }
    outcome.series = series;
    Ok(outcome)
}

/// Reads the sizes of the database at each end of a period. Takes the snapshot at its time.
fn sample(run: &Run<'_>, began: Instant, before: Duration, time: Duration) -> Result<Vec<Figures>, BoxError> {
    let mut client = run.client()?;
    let mut holder = None;
    let mut series = Vec::new();
    let mut next = run.size.sample;
    while next <= time {
        thread::sleep((began + next).saturating_duration_since(Instant::now()));
        let mut figures = Figures::from([("time".to_owned(), next.as_secs_f64())]);
        run.add_sizes(&mut client, &mut figures)?;
        series.push(figures);
        if holder.is_none() && next >= before {
            let mut other = run.client()?;
            other.batch_execute("begin isolation level repeatable read; select from pg_class limit 1")?;
            holder = Some(other);
        }
        next += run.size.sample;
    }
    Ok(series)
}

/// Adds the events and the times of each period.
fn add_rates(series: &mut [Figures], latencies: &[Latency], period: f64) {
    for figures in series {
        let end = figures.get("time").copied().unwrap_or(0.0);
        let mut pickups: Vec<f64> = latencies
            .iter()
            .filter(|one| one.time > end - period && one.time <= end)
            .map(|one| one.pickup)
            .collect();
        figures.insert("events/s".to_owned(), pickups.len() as f64 / period);
        pickups.sort_by(f64::total_cmp);
        for (name, part) in [("pickup p50 ms", 0.5), ("pickup p99 ms", 0.99)] {
            figures.extend(logs::percentile(&pickups, part).map(|time| (name.to_owned(), time)));
        }
    }
}

/// Adds the times before the snapshot, and in the last third of the time under it.
fn add_figures(outcome: &mut Outcome, latencies: &[Latency], before: f64, time: f64) {
    let end = time - (time - before) / 3.0;
    let within = |from: f64, to: f64| -> Vec<f64> {
        let within = latencies.iter().filter(|one| one.time >= from && one.time < to);
        within.map(|one| one.pickup).collect()
    };
    logs::add_percentiles(
        &mut outcome.figures,
        "before: pickup",
        within(steady::WARM_UP.as_secs_f64(), before),
    );
    let late = within(end, time);
    outcome.add("late: events/s", late.len() as f64 / (time - end));
    logs::add_percentiles(&mut outcome.figures, "late: pickup", late);
}
