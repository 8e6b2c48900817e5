//! Queues that cannot be ticked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use log::{error, info};
use postgres::error::SqlState;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The same complaint is logged at most this often.
const REPEAT: Duration = Duration::from_secs(60);
/// How many queues are named in one line.
const NAMED: usize = 5;

/// Remembers the queues that cannot be ticked: each is tried again after a while, and is told of once a minute.
#[derive(Default)]
pub(super) struct Failing {
    queues: BTreeMap<i32, Failure>,
    /// When each complaint was logged last, by its gist.
    told: BTreeMap<String, Instant>,
    /// Those that are well again and were not told of yet.
    recovered: Vec<String>,
}

struct Failure {
    name: String,
    line: String,
    /// What the line has in common with others of its kind.
    gist: String,
    told: Option<Instant>,
    pause: Duration,
    next: Instant,
}

impl Failing {
    /// Returns whether a queue has not failed.
    pub(super) fn is_well(&self, id: i32) -> bool {
        !self.queues.contains_key(&id)
    }

    /// Returns the queues that are to be tried again, the one that has waited longest first.
    pub(super) fn suspects(&self) -> Vec<i32> {
        let now = Instant::now();
        let mut suspects: Vec<_> = self.queues.iter().filter(|(_, failure)| failure.next <= now).collect();
        suspects.sort_by_key(|(_, failure)| failure.next);
        suspects.into_iter().map(|(id, _)| *id).collect()
    }

    /// Takes note of a failure.
    pub(super) fn add(&mut self, id: i32, name: &str, code: Option<&SqlState>, line: String) {
        let (now, gist) = (Instant::now(), dbscript::fingerprint(&line));
        let before = self.queues.remove(&id);
        let told = before.as_ref().filter(|before| before.gist == gist).and_then(|before| before.told);
        let pause = match before {
            Some(before) if !code.is_some_and(passes) => (before.pause * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        let told = told.filter(|told| now - *told < REPEAT);
        let failure = Failure { name: name.to_owned(), line, gist, told, pause, next: now + pause };
        self.queues.insert(id, failure);
    }

    /// Takes note of a queue that is well. Others that have failed as it did may be, too.
    pub(super) fn remove(&mut self, id: i32) {
        let Some(failure) = self.queues.remove(&id) else { return };
        let alike = self.queues.values_mut().filter(|other| other.gist == failure.gist);
        alike.for_each(|other| other.next = other.next.min(Instant::now()));
        // Who has not heard of the trouble does not want to hear of its end.
        if failure.told.is_some() {
            self.recovered.push(failure.name);
        }
    }

    /// Logs what was not told yet, queues with the same error in one line. `place` names the database.
    pub(super) fn tell(&mut self, mut place: impl FnMut() -> String) {
        let now = Instant::now();
        self.told.retain(|_, told| now - *told < REPEAT);
        let mut lines: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
        for failure in self.queues.values_mut() {
            if failure.told.is_none() && !self.told.contains_key(&failure.gist) {
                failure.told = Some(now);
                let line = lines.entry(&failure.gist).or_insert((&failure.line, Vec::new()));
                line.1.push(&failure.name);
            }
        }
        for (gist, (line, names)) in lines {
            error!("{}: cannot tick {}: {line}", place(), named(&names));
            self.told.insert(gist.to_owned(), now);
        }
        if !self.recovered.is_empty() {
            let names: Vec<&str> = self.recovered.iter().map(String::as_str).collect();
            info!("{}: {} tick{} again", place(), named(&names), if names.len() == 1 { "s" } else { "" });
            self.recovered.clear();
        }
    }

    /// Forgets the queues that are not due any more: gone, paused, or ticked by somebody else.
    pub(super) fn retain(&mut self, due: impl Fn(i32) -> bool) {
        self.queues.retain(|id, _| due(*id));
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

/// Returns whether an error is one that another session brings about and that ends with what it does.
fn passes(code: &SqlState) -> bool {
    // What does not fit in a database that was moved is mended by `pgqadm repair`.
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

    /// Returns how long a queue is left alone after it has failed ten times.
    fn pause(code: &SqlState) -> Duration {
        let mut failing = Failing::default();
        (0..10).for_each(|_| failing.add(1, "q", Some(code), "broken".to_owned()));
        failing.queues[&1].pause
    }

    #[test]
    fn what_passes_is_tried_again_soon() {
        assert_eq!(pause(&SqlState::UNDEFINED_TABLE), LONGEST_PAUSE);
        for code in ["55P03", "40P01", "57014"] {
            assert_eq!(pause(&SqlState::from_code(code)), FIRST_PAUSE, "{code}");
        }
    }

    #[test]
    fn when_one_is_well_those_that_failed_alike_are_tried_at_once() {
        let mut failing = Failing::default();
        for (id, line) in [(1, "locked"), (2, "locked"), (3, "broken")] {
            failing.add(id, "q", None, line.to_owned());
        }
        assert_eq!(failing.suspects(), Vec::<i32>::new());
        failing.remove(1);
        assert_eq!(failing.suspects(), [2]);
        assert!(failing.is_well(1) && !failing.is_well(2));
    }

    #[test]
    fn the_first_queues_are_named_and_the_others_counted() {
        assert_eq!(named(&["a"]), "queue `a`");
        assert_eq!(named(&["a", "b"]), "queues `a`, `b`");
        assert_eq!(named(&["q"; 7]), "queues `q`, `q`, `q`, `q`, `q` and 2 more");
    }
}
