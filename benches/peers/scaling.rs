//! Scaling out: several sources, movers and subconsumers at the same time.

#[path = "scaling/shards.rs"]
mod shards;
#[path = "scaling/team.rs"]
mod team;

use self::shards::Shards;
use crate::BoxError;
use crate::jetstream::nats::Nats;
use crate::options::Options;
use crate::process::Sample;
use crate::testbed::Testbed;
use crate::ticking::Table;
use crate::work::median;

/// The numbers of sources, movers or subconsumers.
const COUNTS: [usize; 3] = [1, 2, 4];

/// Measures all works.
///
/// # Errors
///
/// When a server or a program fails, or an event is missing.
pub(crate) fn measure(options: &Options, testbed: &Testbed) -> Result<Vec<Table>, BoxError> {
    let rounds = testbed.rounds();
    let team = team::measure(testbed)?;
    let shards = Shards::start(options, COUNTS[COUNTS.len() - 1])?;
    let inserted =
        measure_counts("sources, a producer each, one event a transaction", rounds, |count, _| {
            shards.produce(count)
        })?;
    let queue = measure_counts("sources, a queue_mover each, into one queue", rounds, |count, round| {
        shards.move_to_queue(testbed, count, round)
    })?;
    let cluster = Nats::start(3)?;
    let stream =
        measure_counts("sources, a jetstream_mover each, into one stream of 3", rounds, |count, round| {
            shards.move_to_stream(&cluster, count, round)
        })?;
    Ok(vec![inserted, team, queue, stream])
}

/// Measures a work with each number of parts, round by round; a turn returns the number of events and their sample.
fn measure_counts(
    what: &str,
    rounds: u32,
    turn: impl Fn(usize, u32) -> Result<(u64, Sample), BoxError>,
) -> Result<Table, BoxError> {
    let mut rates = COUNTS.map(|_| Vec::new());
    for round in 1..=rounds {
        for (count, rates) in COUNTS.iter().zip(&mut rates) {
            let (events, sample) = turn(*count, round)?;
            let rate = events as f64 / sample.seconds;
            eprintln!("{count} {what}, round {round}: {events} events in {:.3} s", sample.seconds);
            rates.push(rate);
        }
    }
    let single = median(&rates[0]);
    let row = |(count, rates): (&usize, &Vec<f64>)| {
        let rate = median(rates);
        (format!("{count} {what}"), vec![rate, rate / single])
    };
    let rows = COUNTS.iter().zip(&rates).map(row).collect();
    Ok(Table { title: what.to_owned(), columns: vec!["events/s", "of one"], rows })
}
