//! One event whose handler always fails.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use super::Outcome;
use crate::BoxError;
use crate::logs::{self, Seen};
use crate::run::{Consume, Run};

const POLL: Duration = Duration::from_millis(100);

pub(super) fn measure(run: &mut Run<'_>) -> Result<Outcome, BoxError> {
    let events = run.size.beside_poison;
    let poison = events / 2;
    run.setup(1)?;
    run.serve()?;
    // One worker, so that the order can be seen.
    let consumer =
        run.consume(&Consume { workers: 1, until: None, poison: Some(poison), ..Consume::nothing(events) })?;
    run.produce(0..events, "100")?;
    thread::sleep(run.size.watch_poison);
    consumer.stop()?;
    let produced = logs::produced(&run.file("produced"))?;
    let seen = logs::seen(&run.file("consumer"))?;
    let mut outcome = Outcome::default();
    describe(&mut outcome, &seen, poison, logs::start(&produced));
    outcome.add("others lost", (events - 1) as f64 - outcome.figures["others done"]);
    if let Some(statement) = &run.contestant.failed_events {
        outcome.add("given up", failed_events(run, statement)?);
    }
    Ok(outcome)
}

fn describe(outcome: &mut Outcome, seen: &[Seen], poison: u64, start: u64) {
    let mut first: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut attempts, mut again, mut late, mut highest) = (0, 0, 0, None);
    for one in seen {
        if one.number == poison {
            attempts += 1;
        } else if first.insert(one.number, one.at).is_some() {
            again += 1;
        } else {
            late += u32::from(highest > Some(one.number));
            highest = highest.max(Some(one.number));
        }
    }
    let end = first.values().copied().max().unwrap_or(start);
    outcome.add("others done", first.len() as f64);
    outcome.add("others again", f64::from(again));
    outcome.add("others out of order", f64::from(late));
    outcome.add("seconds until the last other", end.saturating_sub(start) as f64 / 1e6);
    outcome.add("attempts", f64::from(attempts));
}

/// Counts the events that were given up. Waits for a moment, since a client may report them when it ends.
fn failed_events(run: &Run<'_>, statement: &str) -> Result<f64, BoxError> {
    let mut client = run.client()?;
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let count: i64 = client.query_one(statement, &[])?.get(0);
        if count > 0 || Instant::now() > deadline {
            return Ok(count as f64);
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_and_order_are_counted_without_the_poison() {
        let seen = [0, 2, 1, 5, 2, 5, 3].map(|number| Seen { number, at: 1_000_000 + number });
        let mut outcome = Outcome::default();
        describe(&mut outcome, &seen, 5, 0);
        let expected = [
            ("others done", 4.0),
            ("others again", 1.0),
            ("others out of order", 1.0),
            ("attempts", 2.0),
            ("seconds until the last other", 1.000_003),
        ];
        assert_eq!(outcome.figures, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }
}
