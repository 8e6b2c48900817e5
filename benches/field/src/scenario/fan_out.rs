//! Several consumers, each of which receives every event.

use super::Outcome;
use crate::BoxError;
use crate::logs;
use crate::run::{Consume, Run};

/// The numbers of consumers.
pub(super) const VARIANTS: [&str; 3] = ["1", "5", "20"];
/// The workers of each consumer.
const WORKERS: u32 = 4;

pub(super) fn measure(run: &mut Run<'_>, variant: &str) -> Result<Outcome, BoxError> {
    let (consumers, events): (u32, u64) = (variant.parse()?, run.size.fanned_out);
    run.setup(consumers)?;
    run.serve()?;
    let names: Vec<String> = (0..consumers).map(|consumer| format!("consumer{consumer}")).collect();
    let mut running = Vec::new();
    for (consumer, log) in (0..).zip(&names) {
        let consume = Consume { consumer, workers: WORKERS, log, ..Consume::nothing(events) };
        running.push(run.consume(&consume)?);
    }
    let mut outcome = Outcome::default();
    let meter = run.meter()?;
    let (seconds, mut used) = run.produce(0..events, "100")?;
    for consumer in running {
        consumer.wait_for("consumed", run.size.limit)?;
        used += consumer.finish()?;
    }
    run.add_used(&meter, &mut outcome.figures, used, events)?;
    run.add_sizes(&mut run.client()?, &mut outcome.figures)?;
    let all = seconds_until_all(run, &names)?;
    outcome.add("seconds to insert", seconds);
    outcome.add("seconds until all have all", all);
    outcome.add("deliveries/s", events as f64 * f64::from(consumers) / all);
    Ok(outcome)
}

/// Returns the seconds from the first transaction to the last handler.
fn seconds_until_all(run: &Run<'_>, names: &[String]) -> Result<f64, BoxError> {
    let start = logs::start(&logs::produced(&run.file("produced"))?);
    let mut end = start;
    for name in names {
        end = logs::seen(&run.file(name))?.iter().map(|one| one.at).fold(end, u64::max);
    }
    Ok((end - start) as f64 / 1e6)
}
