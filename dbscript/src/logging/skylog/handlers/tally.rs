//! Sums of statistics lines.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::stats::{Stat, Stats};

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(60);

/// The sums of the statistics lines since the last delivered line.
#[derive(Default)]
pub(crate) struct Tally {
    sums: Stats,
    last: Option<Instant>,
}

impl Tally {
    /// Adds the figures of a line such as `{count: 2, duration: 0.0260}`. Returns false for any other line.
    pub(crate) fn add(&mut self, line: &str) -> bool {
        let Some(figures) = parse(line) else { return false };
        for (name, figure) in figures {
            let sum = self.sums.get(name).map_or(figure, |sum| plus(sum, figure));
            self.sums.put(name, sum);
        }
        true
    }

    /// Returns the time at which the sums are due, or `None` if there are no sums.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.sums.is_empty()).then(|| self.last.map_or_else(Instant::now, |last| last + INTERVAL))
    }

    /// Returns the sums as a line, and resets them.
    pub(crate) fn take(&mut self) -> String {
        self.last = Some(Instant::now());
        std::mem::take(&mut self.sums).to_string()
    }
}

/// The sums, shared by the handler, which adds to them, and the log database, which takes them.
#[derive(Clone, Default)]
pub(crate) struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(line: &str) -> Option<Vec<(&str, Stat)>> {
    let figures = line.strip_prefix('{')?.strip_suffix('}')?;
    figures.split(", ").map(|figure| figure.split_once(": ").and_then(stat)).collect()
}

fn stat<'a>((name, value): (&'a str, &str)) -> Option<(&'a str, Stat)> {
    let stat = match value.parse() {
        Ok(count) => Stat::Count(count),
        Err(_) => Stat::Seconds(value.parse().ok().filter(|value: &f64| value.is_finite())?),
    };
    Some((name, stat))
}

fn plus(one: Stat, other: Stat) -> Stat {
    match (one, other) {
        (Stat::Count(one), Stat::Count(other)) => Stat::Count(one.saturating_add(other)),
        (Stat::Count(count), Stat::Seconds(seconds)) | (Stat::Seconds(seconds), Stat::Count(count)) => {
            Stat::Seconds(seconds + count as f64)
        }
        (Stat::Seconds(one), Stat::Seconds(other)) => Stat::Seconds(one + other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_by_name_in_order_of_arrival() {
        let mut tally = Tally::default();
        assert_eq!(tally.due(), None);
        assert!(tally.add("{count: 2, duration: 0.0260}"));
        assert!(tally.add("{duration: 0.5000, idle: 1, count: 18446744073709551615}"));
        assert!(tally.add("{idle: 0.25}"));
        assert_eq!(tally.take(), "{count: 18446744073709551615, duration: 0.5260, idle: 1.2500}");
        assert_eq!(tally.due(), None);
    }

    #[test]
    fn the_first_line_is_due_at_once_and_the_next_one_later() {
        let mut tally = Tally::default();
        assert!(tally.add("{count: 1}"));
        assert!(tally.due() <= Some(Instant::now()));
        let before = Instant::now();
        tally.take();
        assert_eq!(tally.due(), None);
        assert!(tally.add("{count: 1}"));
        assert!(tally.due() >= Some(before + INTERVAL));
        assert!(tally.due() <= Some(Instant::now() + INTERVAL));
    }

    #[test]
    fn other_lines_are_rejected() {
        let mut tally = Tally::default();
        for line in ["Attaching", "{}", "{count}", "{count: two}", "{a: 1, b: NaN}", "{a: 1}\n", " {a: 1}"] {
            assert!(!tally.add(line), "{line}");
        }
        assert_eq!(tally.due(), None);
    }
}
