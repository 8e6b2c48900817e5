//! Latency at fixed rates, with handlers that take a millisecond.

use std::time::Duration;

use super::Outcome;
use crate::BoxError;
use crate::logs::{self, Latency};
use crate::run::{Consume, Run};

const WORK: Duration = Duration::from_millis(1);
/// The time at the start whose events do not count.
pub(super) const WARM_UP: Duration = Duration::from_secs(1);
/// The time for the last events to arrive.
const GRACE: Duration = Duration::from_secs(15);

pub(super) fn measure(run: &mut Run<'_>, rate: &str) -> Result<Outcome, BoxError> {
    let (rate, time): (u64, Duration) = (rate.parse()?, WARM_UP + run.size.steady);
    let due = rate * time.as_secs();
    run.setup(1)?;
    run.serve()?;
    let consumer = run.consume(&Consume { work: WORK, ..Consume::nothing(due) })?;
    let mut outcome = Outcome::default();
    let meter = run.meter()?;
    let producer = run.produce_at(rate, time)?;
    let (events, mut used) = run.produced(producer, time)?;
    used += run.consumed(consumer, events, due, GRACE)?;
    run.add_used(&meter, &mut outcome.figures, used, events)?;
    outcome.add("not produced", (due - events) as f64);
    add_latencies(run, &mut outcome, events)?;
    Ok(outcome)
}

fn add_latencies(run: &Run<'_>, outcome: &mut Outcome, events: u64) -> Result<(), BoxError> {
    let produced = logs::produced(&run.file("produced"))?;
    let latencies = logs::latencies(&produced, &logs::seen(&run.file("consumer"))?);
    let counted: Vec<Latency> =
        latencies.iter().filter(|one| one.time > WARM_UP.as_secs_f64()).copied().collect();
    let times = |time: fn(&Latency) -> f64| counted.iter().map(time).collect::<Vec<f64>>();
    let inserts = produced.iter().map(|one| one.committed.saturating_sub(one.began) as f64 / 1e3).collect();
    logs::add_percentiles(&mut outcome.figures, "insert", inserts);
    logs::add_percentiles(&mut outcome.figures, "pickup", times(|one| one.pickup));
    logs::add_percentiles(&mut outcome.figures, "end to end", times(|one| one.end_to_end));
    outcome.add("produced events/s", events as f64 / logs::seconds(&produced));
    outcome.add("missing", events.saturating_sub(latencies.len() as u64) as f64);
    Ok(())
}
