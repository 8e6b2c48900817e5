//! Queues that cannot be ticked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use log::{error, info};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many queues are named in one line.
const NAMED: usize = 5;

/// Remembers the queues that cannot be ticked: each is tried again after a while, and is told of once a minute.
#[derive(Default)]
pub(super) struct Failing(BTreeMap<i32, Failure>);

struct Failure {
    name: String,
    line: String,
    told: Option<Instant>,
    pause: Duration,
    next: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Well,
    /// It has failed, and is to be tried apart from the others.
    Suspect,
    /// It has failed, and is not to be tried yet.
    Waiting,
}

impl Failing {
    pub(super) fn state(&self, id: i32) -> State {
        match self.0.get(&id) {
            None => State::Well,
            Some(failure) if failure.next > Instant::now() => State::Waiting,
            Some(_) => State::Suspect,
        }
    }

    /// Takes note of a failure.
    pub(super) fn add(&mut self, id: i32, name: &str, error: &postgres::Error) {
        let (line, now) = (dbscript::describe(error), Instant::now());
        let before = self.0.remove(&id);
        let is_told = |told: &Instant| now - *told < LONGEST_PAUSE;
        let told = before.as_ref().filter(|before| before.line == line).and_then(|before| before.told);
        let pause = before.map_or(FIRST_PAUSE, |before| (before.pause * 2).min(LONGEST_PAUSE));
        let failure =
            Failure { name: name.to_owned(), line, told: told.filter(is_told), pause, next: now + pause };
        self.0.insert(id, failure);
    }

    /// Logs what was not told yet, queues with the same error in one line.
    pub(super) fn tell(&mut self) {
        let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for failure in self.0.values_mut().filter(|failure| failure.told.is_none()) {
            failure.told = Some(Instant::now());
            lines.entry(&failure.line).or_default().push(&failure.name);
        }
        for (line, names) in lines {
            error!("cannot tick {}: {line}", named(&names));
        }
    }

    /// Takes note of a queue that is well.
    pub(super) fn remove(&mut self, id: i32) {
        if let Some(failure) = self.0.remove(&id) {
            info!("queue `{}` ticks again", failure.name);
        }
    }

    /// Forgets the queues that are not due any more: gone, paused, or ticked by somebody else.
    pub(super) fn retain(&mut self, due: impl Fn(i32) -> bool) {
        self.0.retain(|id, _| due(*id));
    }

    /// Returns the names of the queues.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.values().map(|failure| failure.name.clone()).collect()
    }
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

    #[test]
    fn the_first_queues_are_named_and_the_others_counted() {
        assert_eq!(named(&["a"]), "queue `a`");
        assert_eq!(named(&["a", "b"]), "queues `a`, `b`");
        assert_eq!(named(&["q"; 7]), "queues `q`, `q`, `q`, `q`, `q` and 2 more");
    }
}
