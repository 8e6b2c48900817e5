//! Consuming events that are there already. Handlers do nothing.

use super::Outcome;
use crate::run::{Consume, Run};
use crate::{BoxError, logs};

pub(super) fn measure(run: &mut Run<'_>) -> Result<Outcome, BoxError> {
    let events = run.size.drained;
    run.setup(1)?;
    run.serve()?;
    run.produce(0..events, "bulk")?;
    catch_up(run, events)
}

/// Measures a consumer that starts with so many events to consume.
pub(super) fn catch_up(run: &Run<'_>, events: u64) -> Result<Outcome, BoxError> {
    let mut outcome = Outcome::default();
    let meter = run.meter()?;
    let consumer = run.start_consumer(&Consume::nothing(events))?;
    let ready = consumer.wait_for("ready", run.size.limit)?;
    consumer.wait_for("consumed", run.size.limit)?;
    let used = consumer.finish()?;
    run.add_used(&meter, &mut outcome.figures, used, events)?;
    // The first event can come before the line `ready`. How long a client takes to end is no part of its speed.
    let seen = logs::seen(&run.file("consumer"))?;
    let began = seen.iter().map(|one| one.at).fold(ready.at, u64::min);
    let ended = seen.iter().map(|one| one.at).fold(began, u64::max);
    let seconds = (ended - began) as f64 / 1e6;
    outcome.add("seconds", seconds);
    outcome.add("events/s", events as f64 / seconds);
    Ok(outcome)
}
