//! One verdict about all queues, for monitoring systems.

use std::fmt;
use std::time::Duration;

use dbscript::plain;

use super::limits::{Level, Limit, Limits};
use super::{ConsumerStatus, Cooperation, QueueStatus, Status};

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
        write!(f, "{} - {}", self.level, plain(&self.text).replace('|', "\\u{7c}"))?;
        if self.values.is_empty() { Ok(()) } else { write!(f, " | {}", self.values.join(" ")) }
    }
}

impl Limits {
    /// Compares a status with the limits.
    pub fn check(&self, status: &Status) -> Verdict {
        let mut findings = Findings::new(self);
        let mut consumers = 0;
        for queue in &status.queues {
            findings.queue(queue);
            for consumer in &queue.consumers {
                consumers += 1;
                findings.consumer(queue, consumer);
            }
        }
        findings.verdict(format!("{} queues, {consumers} consumers", status.queues.len()))
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

    fn queue(&mut self, queue: &QueueStatus) {
        let name = &queue.name;
        match queue.ticker_lag {
            Some(lag) => {
                self.compare(0, beyond_idle(queue, lag), || {
                    format!("queue `{name}`: last tick {}s ago", lag.as_secs())
                });
            }
            None => self.problems.push((Level::Warning, format!("queue `{name}`: never ticked"))),
        }
        self.compare(5, queue.rotation.overdue().as_secs_f64(), || {
            let overdue = queue.rotation.overdue().as_secs();
            let mut text = format!("queue `{name}`: rotation overdue by {overdue}s");
            if let Some(holder) = queue.rotation.held_up_by.first() {
                text.push_str(&format!(", held up by {holder}"));
            }
            text
        });
    }

    fn consumer(&mut self, queue: &QueueStatus, consumer: &ConsumerStatus) {
        let what = format!("consumer `{}` of queue `{}`", consumer.name, queue.name);
        if let Some(lag) = consumer.lag {
            self.compare(1, beyond_idle(queue, lag), || format!("{what}: lags {}s behind", lag.as_secs()));
        }
        // A subconsumer without a batch waits until there is one for it.
        if consumer.cooperation != Some(Cooperation::Subconsumer) || consumer.batch.is_some() {
            let seen = consumer.last_seen;
            self.compare(2, beyond_idle(queue, seen), || {
                format!("{what}: last seen {}s ago", seen.as_secs())
            });
        }
        let pending = consumer.pending_events.unwrap_or(0);
        self.compare(3, pending as f64, || format!("{what}: {pending} events pending"));
        let failed = consumer.failed_events.unwrap_or(0);
        self.compare(4, failed as f64, || format!("{what}: {failed} failed events"));
    }

    fn compare(&mut self, kind: usize, value: f64, problem: impl FnOnce() -> String) {
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
        let values = values.map(|(((name, unit), largest), limit)| {
            format!("{name}={largest:.0}{unit};{}", limit.perfdata())
        });
        Verdict { level, text: told.join(", "), values: values.collect() }
    }
}

/// A queue without events ticks when its idle period is over, and its consumers get nothing in between.
fn beyond_idle(queue: &QueueStatus, time: Duration) -> f64 {
    time.saturating_sub(queue.ticker.idle_period).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let seconds = Duration::from_secs;
        let mut queue =
            QueueStatus { name: "q".to_owned(), ticker_lag: Some(seconds(70)), ..Default::default() };
        queue.ticker.idle_period = seconds(60);
        queue.consumers.push(ConsumerStatus {
            name: "c".to_owned(),
            lag: Some(seconds(80)),
            last_seen: seconds(75),
            ..Default::default()
        });
        Status {
            database: "somedb".to_owned(),
            server_version: "15.1".to_owned(),
            pgq_version: "3.5".to_owned(),
            schema: None,
            time: chrono::DateTime::UNIX_EPOCH,
            queues: vec![queue],
        }
    }

    #[test]
    fn all_is_well() {
        assert_eq!(
            Limits::default().check(&status()).to_string(),
            "OK - 1 queues, 1 consumers | ticker_lag=10s;60;300 consumer_lag=20s;300;3600 last_seen=15s;300;3600 \
             pending_events=0;100000;1000000 failed_events=0;1;100 rotation_age=0s;3600;21600"
        );
    }

    #[test]
    fn each_limit_is_compared() {
        type Change = fn(&mut Status, f64);
        let change: [(&str, Change); 6] = [
            ("last tick", |status, value| {
                status.queues[0].ticker_lag = Some(Duration::from_secs_f64(60.0 + value));
            }),
            ("lags", |status, value| {
                status.queues[0].consumers[0].lag = Some(Duration::from_secs_f64(60.0 + value));
            }),
            ("last seen", |status, value| {
                status.queues[0].consumers[0].last_seen = Duration::from_secs_f64(60.0 + value);
            }),
            ("pending", |status, value| status.queues[0].consumers[0].pending_events = Some(value as i64)),
            ("failed", |status, value| status.queues[0].consumers[0].failed_events = Some(value as u64)),
            ("overdue", |status, value| status.queues[0].rotation.age = Duration::from_secs_f64(value)),
        ];
        let limits = Findings::new(&Limits::default()).limits;
        for ((word, change), limit) in change.into_iter().zip(limits) {
            for (value, level) in [
                (limit.warning - 1.0, Level::Ok),
                (limit.warning, Level::Warning),
                (limit.critical - 1.0, Level::Warning),
                (limit.critical, Level::Critical),
            ] {
                let mut status = status();
                change(&mut status, value);
                let verdict = Limits::default().check(&status);
                assert_eq!(verdict.level, level, "{word} {value}");
                assert_eq!(verdict.text.contains(word), level != Level::Ok, "{}", verdict.text);
            }
        }
    }

    #[test]
    fn the_worst_comes_first_and_the_line_stays_one_line() {
        let mut status = status();
        for n in 0..7 {
            let mut queue = status.queues[0].clone();
            queue.name = format!("q{n}|\n");
            queue.ticker_lag = Some(Duration::from_secs(if n == 6 { 1000 } else { 200 }));
            status.queues.push(queue);
        }
        let line = Limits::default().check(&status).to_string();
        assert!(
            line.starts_with("CRITICAL - queue `q6\\u{7c}\\n`: last tick 1000s ago, queue `q0"),
            "{line}"
        );
        assert!(line.contains(", and 2 more | ticker_lag=940s;"), "{line}");
        assert_eq!((line.lines().count(), line.matches('|').count()), (1, 1));
    }

    #[test]
    fn a_queue_that_was_never_ticked_is_a_warning() {
        let mut status = status();
        status.queues[0].ticker_lag = None;
        assert_eq!(Limits::default().check(&status).level, Level::Warning);
        assert_eq!(Verdict::unknown("gone").to_string(), "UNKNOWN - gone");
    }
}
