//! Statistics of one round, logged as one line.

use std::fmt;
use std::time::Duration;

/// One figure of a round: a count or a duration.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Stat {
    /// A count.
    Count(u64),
    /// A duration in seconds.
    Seconds(f64),
}

impl From<u64> for Stat {
    fn from(count: u64) -> Stat {
        Stat::Count(count)
    }
}

impl From<Duration> for Stat {
    fn from(duration: Duration) -> Stat {
        Stat::Seconds(duration.as_secs_f64())
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stat::Count(count) => write!(f, "{count}"),
            Stat::Seconds(seconds) => write!(f, "{seconds:.4}"),
        }
    }
}

/// The named figures of a round, in insertion order.
///
/// Displays as `{count: 2, duration: 0.0260}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    entries: Vec<(String, Stat)>,
}

impl Stats {
    /// Sets a figure, in place of an earlier value.
    pub fn put(&mut self, name: &str, value: impl Into<Stat>) {
        let value = value.into();
        match self.entries.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.entries.push((name.to_owned(), value)),
        }
    }

    /// Adds to a figure; a missing one counts as zero. A value of the other kind replaces the figure.
    pub fn add(&mut self, name: &str, value: impl Into<Stat>) {
        let value = match (self.get(name), value.into()) {
            (Some(Stat::Count(old)), Stat::Count(more)) => Stat::Count(old.saturating_add(more)),
            (Some(Stat::Seconds(old)), Stat::Seconds(more)) => Stat::Seconds(old + more),
            (_, value) => value,
        };
        self.put(name, value);
    }

    /// Adds every figure of another round.
    pub(crate) fn add_all(&mut self, more: &Stats) {
        for (name, value) in more.iter() {
            self.add(name, value);
        }
    }

    /// Returns a figure, or `None` if there is none of that name.
    pub fn get(&self, name: &str) -> Option<Stat> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, stat)| *stat)
    }

    /// Returns all figures, in insertion order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Stat)> {
        self.entries.iter().map(|(name, stat)| (name.as_str(), *stat))
    }

    /// Returns true if there are no figures.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes all figures.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{name}: {value}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_insertion_order() {
        let mut stats = Stats::default();
        stats.add("count", 1);
        stats.put("duration", Duration::from_millis(26));
        stats.add("count", 1);
        assert_eq!(stats.to_string(), "{count: 2, duration: 0.0260}");
        assert_eq!(stats.get("count"), Some(Stat::Count(2)));
        let names: Vec<_> = stats.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["count", "duration"]);
        stats.clear();
        assert!(stats.is_empty());
    }
}
