//! Comparing a status with limits, for monitoring systems.

use std::fmt;
use std::time::Duration;

use dbscript::printable;

use super::limits::{Limit, Limits};
use super::{ConsumerStatus, QueueStatus, Status};
use crate::admin::integrity::level::Level;
use crate::lock::held_by;
use crate::phrases::count_of;

/// The number of problems that a verdict lists.
const MAX_LISTED: usize = 5;

/// The result of a check: a severity and the problems.
///
/// `Display` shows one line in the format of Nagios plugins: the level, the problems with the most severe first, and
/// after a `|` the largest value of each kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The highest severity of all problems.
    pub level: Level,
    /// The problems, the most severe first; without problems, the numbers of queues and consumers.
    pub text: String,
    /// The largest value of each kind, as `name=value` with its limits.
    pub values: Vec<String>,
}

impl Verdict {
    /// Makes a verdict of level `UNKNOWN`, for a status that cannot be read. `why` is the reason.
    pub fn unknown(why: impl Into<String>) -> Verdict {
        Verdict { level: Level::Unknown, text: why.into(), values: Vec::new() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A `|` would end the text.
        write!(f, "{} - {}", self.level, printable(&self.text).replace('|', "\\u{7c}"))?;
        if self.values.is_empty() { Ok(()) } else { write!(f, " | {}", self.values.join(" ")) }
    }
}

impl Limits {
    /// Compares a status with the limits. Findings are problems whatever the limits are.
    pub fn check(&self, status: &Status) -> Verdict {
        let mut evaluation = Evaluation::new(self);
        evaluation.problems.extend(
            status.findings.iter().map(|found| (found.level(), format!("{found}; {}", found.advice()))),
        );
        let mut consumers = 0;
        evaluation.unentitled_lock_holders(status);
        evaluation.old_snapshots(status);
        for queue in &status.queues {
            evaluation.queue(queue);
            for consumer in &queue.consumers {
                consumers += 1;
                evaluation.consumer(queue, consumer);
            }
        }
        let queues = count_of(status.queues.len() as u64, "queue");
        evaluation.verdict(format!("{queues}, {}", count_of(consumers, "consumer")))
    }
}

/// The names and units of the values.
const KINDS: [(&str, &str); 7] = [
    ("ticker_lag", "s"),
    ("consumer_lag", "s"),
    ("last_seen", "s"),
    ("pending_events", ""),
    ("failed_events", ""),
    ("rotation_age", "s"),
    ("snapshot_age", "s"),
];

/// The problems and the largest values found so far.
struct Evaluation {
    limits: [Limit; 7],
    largest: [f64; 7],
    problems: Vec<(Level, String)>,
}

impl Evaluation {
    fn new(limits: &Limits) -> Evaluation {
        let limits = [
            limits.ticker_lag,
            limits.consumer_lag,
            limits.last_seen,
            limits.pending_events,
            limits.failed_events,
            limits.rotation_age,
            limits.snapshot_age,
        ];
        Evaluation { limits, largest: [0.0; 7], problems: Vec::new() }
    }

    /// Reports sessions that block tickers without being allowed to tick.
    fn unentitled_lock_holders(&mut self, status: &Status) {
        if self.limits[0].is_on() && !status.unentitled_lock_holders.is_empty() {
            let who = held_by("a lock of ticks", &status.unentitled_lock_holders);
            self.problems.push((Level::Critical, format!("{who}, whose role may not tick")));
        }
    }

    /// Compares the age of the oldest snapshot.
    fn old_snapshots(&mut self, status: &Status) {
        let oldest = status.old_snapshots.iter().max_by_key(|snapshot| snapshot.age());
        if let Some((oldest, age)) = oldest.and_then(|oldest| Some((oldest, oldest.age()?))) {
            self.compare(6, age.as_secs_f64(), || format!("dead rows are kept by {oldest}"));
        }
    }

    fn queue(&mut self, queue: &QueueStatus) {
        let name = &queue.name;
        self.ticks(queue);
        self.compare(5, queue.rotation.overdue().as_secs_f64(), || {
            let overdue = queue.rotation.overdue().as_secs();
            let mut text = format!("queue `{name}`: rotation overdue by {overdue}s");
            if let Some(holder) = queue.rotation.held_up_by.first() {
                text.push_str(&format!(", held up by {holder}"));
            }
            text
        });
    }

    /// Checks the age of a queue's last tick, except for a queue with an external ticker.
    fn ticks(&mut self, queue: &QueueStatus) {
        let name = &queue.name;
        match queue.ticker_lag {
            _ if queue.external => {}
            _ if queue.paused => self.warn_of_ticks(format!("queue `{name}`: paused")),
            Some(lag) => self.compare(0, beyond_idle(queue, lag), || {
                format!("queue `{name}`: last tick {}s ago", lag.as_secs())
            }),
            None => self.warn_of_ticks(format!("queue `{name}`: never ticked")),
        }
    }

    fn warn_of_ticks(&mut self, problem: String) {
        if self.limits[0].is_on() {
            self.problems.push((Level::Warning, problem));
        }
    }

    fn consumer(&mut self, queue: &QueueStatus, consumer: &ConsumerStatus) {
        let what = format!("consumer `{}` of queue `{}`", consumer.name, queue.name);
        if !has_to_wait(queue, consumer) {
            self.times(queue, consumer, &what);
        }
        let pending = consumer.pending_events.unwrap_or(0);
        self.compare(3, pending as f64, || format!("{what}: {pending} events pending"));
        let failed = consumer.failed_events.unwrap_or(0);
        self.compare(4, failed as f64, || format!("{what}: {}", count_of(failed, "failed event")));
    }

    fn times(&mut self, queue: &QueueStatus, consumer: &ConsumerStatus, what: &str) {
        let state = state(queue);
        if let Some(lag) = consumer.lag {
            self.compare(1, beyond_idle(queue, lag), || {
                format!("{what}: lags {}s behind{state}", lag.as_secs())
            });
        }
        let seen = consumer.last_seen;
        self.compare(2, beyond_idle(queue, seen), || {
            format!("{what}: last seen {}s ago{state}", seen.as_secs())
        });
    }

    fn compare(&mut self, kind: usize, value: f64, problem: impl FnOnce() -> String) {
        let value = in_thousandths(value);
        self.largest[kind] = self.largest[kind].max(value);
        match self.limits[kind].level(value) {
            Level::Ok => {}
            level => self.problems.push((level, problem())),
        }
    }

    fn verdict(mut self, summary: String) -> Verdict {
        // The sort is stable, so problems of one level stay in the order of queues.
        self.problems.sort_by_key(|problem| std::cmp::Reverse(problem.0));
        let level = self.problems.first().map_or(Level::Ok, |problem| problem.0);
        let mut listed: Vec<String> =
            self.problems.iter().take(MAX_LISTED).map(|problem| problem.1.clone()).collect();
        match self.problems.len() {
            0 => listed.push(summary),
            all if all > MAX_LISTED => listed.push(format!("and {} more", all - MAX_LISTED)),
            _ => {}
        }
        let values = KINDS.iter().zip(self.largest).zip(self.limits);
        let values = values
            .map(|(((name, unit), largest), limit)| format!("{name}={largest}{unit};{}", limit.perfdata()));
        Verdict { level, text: listed.join(", "), values: values.collect() }
    }
}

/// Returns the part of a time beyond the queue's idle period, in seconds. A queue without events gets no tick, and its
/// consumers get no batch, before the idle period is over.
fn beyond_idle(queue: &QueueStatus, time: Duration) -> f64 {
    time.saturating_sub(queue.ticker.idle_period).as_secs_f64()
}

/// Rounds a value to thousandths, so that the shown value is the compared one.
fn in_thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Returns whether a consumer has nothing to process: a subconsumer without a batch, or the consumer of a queue without
/// a ticker of this database that has processed all ticks.
fn has_to_wait(queue: &QueueStatus, consumer: &ConsumerStatus) -> bool {
    consumer.waits_for_batch() || ((queue.paused || queue.external) && consumer.pending_events == Some(0))
}

/// Returns the queue's state as an addition to a message about a late consumer.
fn state(queue: &QueueStatus) -> &'static str {
    match (queue.paused, queue.external) {
        (true, _) => ", paused",
        (false, true) => ", external ticker",
        (false, false) => "",
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
