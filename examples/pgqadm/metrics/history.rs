//! The lags of consumers in the last hour, in memory.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::reading::Reading;

/// The time between two samples.
pub(super) const PERIOD: Duration = Duration::from_secs(15);
/// The number of samples of a consumer: an hour.
pub(super) const SAMPLES: usize = 240;
/// The number of consumers whose lags are kept, which limits the memory to about ten megabytes.
const MOST_CONSUMERS: usize = 10_000;

/// The lags of consumers.
#[derive(Default)]
pub(super) struct History(HashMap<Id, Lags>);

/// The lags of a consumer in seconds, the latest last; `None` if its database could not be read, and without a lag.
pub(super) type Lags = VecDeque<Option<f32>>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Id {
    database: String,
    queue: String,
    consumer: String,
}

impl Id {
    fn new(database: &str, queue: &str, consumer: &str) -> Id {
        Id { database: database.to_owned(), queue: queue.to_owned(), consumer: consumer.to_owned() }
    }
}

impl History {
    /// Adds a sample of each consumer, and forgets consumers that are gone.
    pub(super) fn add(&mut self, reading: &Reading) {
        let mut before = std::mem::take(&mut self.0);
        for database in &reading.databases {
            let Ok(status) = &database.status else {
                let missed = before.extract_if(|id, _| id.database == database.name);
                self.0.extend(missed.map(|(id, lags)| (id, with(lags, None))));
                continue;
            };
            for queue in &status.queues {
                for consumer in &queue.consumers {
                    let id = Id::new(&database.name, &queue.name, &consumer.name);
                    let lags = before.remove(&id).unwrap_or_default();
                    if self.0.len() < MOST_CONSUMERS {
                        self.0.insert(id, with(lags, consumer.lag.map(|lag| lag.as_secs_f32())));
                    }
                }
            }
        }
    }

    /// Returns the lags of a consumer.
    pub(super) fn lags(&self, database: &str, queue: &str, consumer: &str) -> Option<&Lags> {
        self.0.get(&Id::new(database, queue, consumer))
    }
}

fn with(mut lags: Lags, lag: Option<f32>) -> Lags {
    if lags.len() >= SAMPLES {
        lags.pop_front();
    }
    lags.push_back(lag);
    lags
}

#[cfg(test)]
mod tests {
    use super::super::testing::{away, consumer, queue, reading, status};
    use super::*;

    fn lags(history: &History) -> Option<Vec<Option<f32>>> {
        history.lags("d", "q", "c").map(|lags| lags.iter().copied().collect())
    }

    fn sample(lag: u64) -> Reading {
        reading(vec![("d", Ok(status(vec![queue("q", vec![consumer("c", lag)])])))])
    }

    #[test]
    fn an_hour_of_lags_is_kept_with_the_outages() {
        let mut history = History::default();
        for lag in 0..1_000 {
            history.add(&sample(lag));
        }
        history.add(&reading(vec![("d", away("no route"))]));
        let lags = lags(&history).expect("kept");
        assert_eq!(lags.len(), SAMPLES);
        assert_eq!(lags[SAMPLES - 2..], [Some(999.0), None]);
    }

    #[test]
    fn consumers_that_are_gone_are_forgotten() {
        let mut history = History::default();
        history.add(&sample(1));
        history.add(&sample(2));
        assert_eq!(lags(&history), Some(vec![Some(1.0), Some(2.0)]));
        history.add(&reading(vec![("d", Ok(status(vec![queue("q", Vec::new())])))]));
        assert_eq!(lags(&history), None);
        history.add(&sample(3));
        history.add(&reading(Vec::new()));
        assert_eq!(lags(&history), None, "the database is no longer served");
    }

    #[test]
    fn the_number_of_consumers_is_limited() {
        let mut history = History::default();
        let many = (0..MOST_CONSUMERS + 10).map(|number| consumer(&format!("c{number}"), 1)).collect();
        history.add(&reading(vec![("d", Ok(status(vec![queue("q", many)])))]));
        assert_eq!(history.0.len(), MOST_CONSUMERS);
    }
}
