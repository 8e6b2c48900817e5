//! Consuming events that are there already. Handlers do nothing.

use super::Outcome;
use crate::BoxError;
use crate::run::{Consume, Run};

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
    let meter = run.server.meter()?;
    let consumer = run.start_consumer(&Consume::nothing(events))?;
    let ready = consumer.wait_for("ready", run.size.limit)?;
    let consumed = consumer.wait_for("consumed", run.size.limit)?;
    let seconds = consumed.at.saturating_duration_since(ready.at).as_secs_f64();
    let used = consumer.finish()?;
    meter.add_to(&mut outcome.figures, events)?;
    outcome.add("seconds", seconds);
    outcome.add("events/s", events as f64 / seconds);
    outcome.add("client CPU µs/event", used.cpu * 1e6 / events as f64);
    outcome.add("client memory MB", used.peak_megabytes);
    Ok(outcome)
}
