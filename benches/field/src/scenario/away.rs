//! A consumer that was away while its producers went on.

use super::{Outcome, drain};
use crate::BoxError;
use crate::run::Run;

/// The events of each transaction that the consumer misses.
const PER_TRANSACTION: u64 = 100;

pub(super) fn measure(run: &mut Run<'_>) -> Result<Outcome, BoxError> {
    let events = run.size.missed * PER_TRANSACTION;
    run.setup(1)?;
    run.serve()?;
    run.produce(0..events, &PER_TRANSACTION.to_string())?;
    drain::catch_up(run, events)
}
