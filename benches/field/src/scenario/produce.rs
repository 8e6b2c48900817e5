//! Inserting events on one connection.

use super::Outcome;
use crate::BoxError;
use crate::run::Run;

/// The events of a transaction.
pub(super) const VARIANTS: [&str; 3] = ["1", "100", "bulk"];

pub(super) fn measure(run: &mut Run<'_>, variant: &str) -> Result<Outcome, BoxError> {
    run.setup(1)?;
    let place = VARIANTS.iter().position(|name| *name == variant).unwrap_or_default();
    let events = run.size.produced[place];
    let mut outcome = Outcome::default();
    let meter = run.meter()?;
    let (seconds, used) = run.produce(0..events, variant)?;
    outcome.add("events/s", events as f64 / seconds);
    run.add_used(&meter, &mut outcome.figures, used, events)?;
    Ok(outcome)
}
