//! Queues that cannot be ticked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dbscript::{Backoff, LogThrottle, fingerprint};
use log::{error, info};
use postgres::error::SqlState;

/// The delays before a failing queue is retried.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(60));
/// How many queues one line names.
const NAMED: usize = 5;

/// The queues that cannot be ticked. Each is retried after a delay and logged once a minute.
#[derive(Default)]
pub(super) struct FailingQueues {
    queues: BTreeMap<i32, Failure>,
    throttle: LogThrottle,
    /// The queues that tick again and whose failure was logged.
    recovered: Vec<String>,
}

struct Failure {
    name: String,
    line: String,
    /// Equal for failures of the same kind.
    fingerprint: String,
    is_logged: bool,
    /// How often the queue failed in a row with an error that lasts.
    failures: u32,
    next_retry: Instant,
}

impl FailingQueues {
    /// Returns whether a queue has failed and not been ticked since.
    pub(super) fn contains(&self, id: i32) -> bool {
        self.queues.contains_key(&id)
    }

    /// Returns the queues that are due for a retry, the one that has waited longest first.
    pub(super) fn due_for_retry(&self) -> Vec<i32> {
        let now = Instant::now();
        let mut due: Vec<_> = self.queues.iter().filter(|(_, failure)| failure.next_retry <= now).collect();
        due.sort_by_key(|(_, failure)| failure.next_retry);
        due.into_iter().map(|(id, _)| *id).collect()
    }

    /// Records a failure.
    pub(super) fn add(&mut self, id: i32, name: &str, code: Option<&SqlState>, line: String) {
        let fingerprint = fingerprint(&line);
        let before = self.queues.remove(&id);
        let is_logged =
            before.as_ref().is_some_and(|before| before.is_logged && before.fingerprint == fingerprint);
        let failures = match before {
            Some(before) if !code.is_some_and(is_passing) => before.failures.saturating_add(1),
            _ => 0,
        };
        let next_retry = Instant::now() + BACKOFF.delay(failures);
        let failure = Failure { name: name.to_owned(), line, fingerprint, is_logged, failures, next_retry };
        self.queues.insert(id, failure);
    }

    /// Records that a queue was ticked. Queues that failed with the same error are due for a retry at once.
    pub(super) fn remove(&mut self, id: i32) {
        let Some(failure) = self.queues.remove(&id) else { return };
        let now = Instant::now();
        let alike = self.queues.values_mut().filter(|other| other.fingerprint == failure.fingerprint);
        alike.for_each(|other| other.next_retry = other.next_retry.min(now));
        if failure.is_logged {
            self.recovered.push(failure.name);
        }
    }

    /// Logs the failing queues, those with the same error in one line and once a minute, and the queues that tick
    /// again. `place` names the database.
    pub(super) fn log(&mut self, mut place: impl FnMut() -> String) {
        let mut lines: BTreeMap<String, Vec<&mut Failure>> = BTreeMap::new();
        for failure in self.queues.values_mut() {
            lines.entry(failure.fingerprint.clone()).or_default().push(failure);
        }
        for (fingerprint, failures) in lines {
            if self.throttle.admit_key(&fingerprint).is_some() {
                let names: Vec<&str> = failures.iter().map(|failure| failure.name.as_str()).collect();
                error!("{}: cannot tick {}: {}", place(), named(&names), failures[0].line);
                failures.into_iter().for_each(|failure| failure.is_logged = true);
            }
        }
        if !self.recovered.is_empty() {
            let names: Vec<&str> = self.recovered.iter().map(String::as_str).collect();
            info!("{}: {} tick{} again", place(), named(&names), if names.len() == 1 { "s" } else { "" });
            self.recovered.clear();
        }
    }

    /// Keeps the queues that are due. The others are dropped, paused or ticked by another ticker.
    pub(super) fn retain(&mut self, is_due: impl Fn(i32) -> bool) {
        self.queues.retain(|id, _| is_due(*id));
    }

    /// Returns the names of the queues.
    pub(super) fn names(&self) -> Vec<String> {
        self.queues.values().map(|failure| failure.name.clone()).collect()
    }
}

/// Returns whether a queue is locked.
pub(super) fn is_locked(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// Returns whether another session causes an error, so that the error ends with what that session does.
fn is_passing(code: &SqlState) -> bool {
    // `pgqadm repair` ends the corruption of a database that was moved.
    [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::QUERY_CANCELED,
        SqlState::DATA_CORRUPTED,
    ]
    .contains(code)
}

fn named(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    let (word, shown) = (if names.len() == 1 { "queue" } else { "queues" }, shown.join(", "));
    match names.len().saturating_sub(NAMED) {
        0 => format!("{word} {shown}"),
        more => format!("{word} {shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many failures count towards the delay after a queue has failed ten times.
    fn failures(code: &SqlState) -> u32 {
        let mut failing = FailingQueues::default();
        (0..10).for_each(|_| failing.add(1, "q", Some(code), "broken".to_owned()));
        failing.queues[&1].failures
    }

    #[test]
    fn an_error_that_passes_does_not_lengthen_the_delay() {
        assert_eq!(failures(&SqlState::UNDEFINED_TABLE), 9);
        for code in ["55P03", "40P01", "57014"] {
            assert_eq!(failures(&SqlState::from_code(code)), 0, "{code}");
        }
    }

    #[test]
    fn a_success_makes_queues_that_failed_alike_due_for_a_retry() {
        let mut failing = FailingQueues::default();
        for (id, line) in [(1, "locked"), (2, "locked"), (3, "broken")] {
            failing.add(id, "q", None, line.to_owned());
        }
        assert_eq!(failing.due_for_retry(), Vec::<i32>::new());
        failing.remove(1);
        assert_eq!(failing.due_for_retry(), [2]);
        assert!(!failing.contains(1) && failing.contains(2));
    }

    #[test]
    fn the_first_queues_are_named_and_the_others_counted() {
        assert_eq!(named(&["a"]), "queue `a`");
        assert_eq!(named(&["a", "b"]), "queues `a`, `b`");
        assert_eq!(named(&["q"; 7]), "queues `q`, `q`, `q`, `q`, `q` and 2 more");
    }
}
