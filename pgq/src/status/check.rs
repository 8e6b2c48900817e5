//! One verdict about all queues, for monitoring systems.

use std::fmt;
use std::time::Duration;

use dbscript::printable;

use super::limits::{Limit, Limits};
use super::{ConsumerStatus, QueueStatus, Status};
use crate::admin::integrity::level::Level;
use crate::admin::set_aside::number;
use crate::lock::held_by;

/// So many problems are told one by one.
const TOLD: usize = 5;

/// What monitoring is told: a level, and why.
///
/// It shows itself as the line that plugins of Nagios and its like print: the level, the problems with the worst
/// first, and behind a `|` the largest value of each kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The worst level of all problems.
    pub level: Level,
    /// The problems, the worst first; or how many queues and consumers there are.
    pub text: String,
    /// The largest value of each kind, as `name=value` with its limits.
    pub values: Vec<String>,
}

impl Verdict {
    /// Makes the verdict that nothing can be told, and why.
    pub fn unknown(why: impl Into<String>) -> Verdict {
        Verdict { level: Level::Unknown, text: why.into(), values: Vec::new() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A `|` ends the text.
        write!(f, "{} - {}", self.level, printable(&self.text).replace('|', "\\u{7c}"))?;
        if self.values.is_empty() { Ok(()) } else { write!(f, " | {}", self.values.join(" ")) }
    }
}

impl Limits {
    /// Compares a status with the limits. What does not fit in the database is a problem whatever they are.
    pub fn check(&self, status: &Status) -> Verdict {
        let mut findings = Findings::new(self);
        findings.problems.extend(
            status.findings.iter().map(|found| (found.level(), format!("{found}; {}", found.advice()))),
        );
        let mut consumers = 0;
        findings.strangers(status);
        for queue in &status.queues {
            findings.queue(queue);
            for consumer in &queue.consumers {
                consumers += 1;
                findings.consumer(queue, consumer);
            }
        }
        let queues = number(status.queues.len() as u64, "queue");
        findings.verdict(format!("{queues}, {}", number(consumers, "consumer")))
    }
}

/// The kinds of values: what monitoring calls them, and their unit.
const KINDS: [(&str, &str); 6] = [
    ("ticker_lag", "s"),
    ("consumer_lag", "s"),
    ("last_seen", "s"),
    ("pending_events", ""),
    ("failed_events", ""),
    ("rotation_age", "s"),
];

struct Findings {
    limits: [Limit; 6],
    largest: [f64; 6],
    problems: Vec<(Level, String)>,
}

impl Findings {
    fn new(limits: &Limits) -> Findings {
        let limits = [
            limits.ticker_lag,
            limits.consumer_lag,
            limits.last_seen,
            limits.pending_events,
            limits.failed_events,
            limits.rotation_age,
        ];
        Findings { limits, largest: [0.0; 6], problems: Vec::new() }
    }

    /// Whoever keeps tickers from their lock means harm, or does it.
    fn strangers(&mut self, status: &Status) {
        if self.limits[0].is_on() && !status.strangers_to_ticks.is_empty() {
            let who = held_by("a lock of ticks", &status.strangers_to_ticks);
            self.problems.push((Level::Critical, format!("{who}, whose role may not tick")));
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

    /// Looks at a queue's ticks, which come from elsewhere for one with an external ticker.
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
        self.compare(4, failed as f64, || format!("{what}: {failed} failed events"));
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
        // Stable, so that those of a level stay in the order of queues.
        self.problems.sort_by_key(|problem| std::cmp::Reverse(problem.0));
        let level = self.problems.first().map_or(Level::Ok, |problem| problem.0);
        let mut told: Vec<String> =
            self.problems.iter().take(TOLD).map(|problem| problem.1.clone()).collect();
        match self.problems.len() {
            0 => told.push(summary),
            all if all > TOLD => told.push(format!("and {} more", all - TOLD)),
            _ => {}
        }
        let values = KINDS.iter().zip(self.largest).zip(self.limits);
        let values = values
            .map(|(((name, unit), largest), limit)| format!("{name}={largest}{unit};{}", limit.perfdata()));
        Verdict { level, text: told.join(", "), values: values.collect() }
    }
}

/// A queue without events ticks when its idle period is over, and its consumers get nothing in between.
fn beyond_idle(queue: &QueueStatus, time: Duration) -> f64 {
    time.saturating_sub(queue.ticker.idle_period).as_secs_f64()
}

/// What is shown is what is compared.
fn in_thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Returns whether nothing can be expected of a consumer: of a subconsumer without a batch until there is one for it,
/// of the consumer of a queue that the ticker leaves alone once it has done all that was ticked.
fn has_to_wait(queue: &QueueStatus, consumer: &ConsumerStatus) -> bool {
    consumer.waits_for_batch() || ((queue.paused || queue.external) && consumer.pending_events == Some(0))
}

/// Returns what else is to be known of a queue whose consumer is late.
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
