//! A tick as it is remembered outside of its queue.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::consume::run::subscription::BatchInfo;

/// A tick of a queue as another place remembers it: a file, or the target of a consumer.
///
/// The number alone does not identify a tick: a queue that is restored to an earlier moment, that fails over to a standby
/// which lags, or that is made anew, gives the same numbers to other ticks. The time at which the tick was made does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The tick's number.
    pub tick: i64,
    /// When the tick was made; `None` when whoever recorded the number did not record the time. Any tick of that number
    /// is then taken for it.
    pub time: Option<DateTime<Utc>>,
}

impl Checkpoint {
    /// Returns where a batch starts.
    pub fn start_of(batch: &BatchInfo) -> Checkpoint {
        Checkpoint { tick: batch.prev_tick, time: Some(batch.prev_tick_time) }
    }

    /// Returns where a batch ends.
    pub fn end_of(batch: &BatchInfo) -> Checkpoint {
        Checkpoint { tick: batch.tick, time: Some(batch.tick_time) }
    }

    /// Tells whether both are the same tick, as far as their times are recorded.
    pub fn is(&self, other: &Checkpoint) -> bool {
        let differs = matches!((self.time, other.time), (Some(own), Some(other)) if own != other);
        self.tick == other.tick && !differs
    }
}

/// Shows number and time: `tick 5 of 2026-01-02 03:04:05.678901 UTC`.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => write!(f, "tick {} of {}", self.tick, time.format("%Y-%m-%d %H:%M:%S%.6f UTC")),
            None => write!(f, "tick {} of an unknown time", self.tick),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tick: i64, second: Option<i64>) -> Checkpoint {
        Checkpoint { tick, time: second.and_then(|second| DateTime::from_timestamp(second, 123_456_000)) }
    }

    #[test]
    fn number_and_time_are_compared() {
        assert!(at(1, Some(5)).is(&at(1, Some(5))));
        assert!(at(1, Some(5)).is(&at(1, None)));
        assert!(at(1, None).is(&at(1, Some(5))));
        assert!(!at(1, Some(5)).is(&at(1, Some(6))));
        assert!(!at(1, None).is(&at(2, None)));
        assert!(!at(1, Some(5)).is(&at(2, Some(5))));
    }

    #[test]
    fn both_are_shown() {
        assert_eq!(at(7, Some(0)).to_string(), "tick 7 of 1970-01-01 00:00:00.123456 UTC");
        assert_eq!(at(7, None).to_string(), "tick 7 of an unknown time");
    }
}
