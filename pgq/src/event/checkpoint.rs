//! A tick that is stored outside of its queue.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::event::batch_info::BatchInfo;

/// A tick of a queue that is stored elsewhere: in a file, or in the target database of a consumer.
///
/// The number alone does not identify a tick. A queue that is restored to an earlier moment, fails over to a lagging
/// standby or is recreated uses the number for another tick, with another time (DESIGN.md, D29).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The tick's number.
    pub tick: i64,
    /// The time of the tick; `None` if only the number was recorded. Any tick of that number matches then.
    pub time: Option<DateTime<Utc>>,
}

impl Checkpoint {
    /// Makes a checkpoint of a tick's number and of the time at which the tick was made, if that is recorded.
    pub fn new(tick: i64, time: Option<DateTime<Utc>>) -> Checkpoint {
        Checkpoint { tick, time }
    }

    /// Returns where a batch starts.
    pub fn start_of(batch: &BatchInfo) -> Checkpoint {
        Checkpoint { tick: batch.prev_tick, time: Some(batch.prev_tick_time) }
    }

    /// Returns where a batch ends.
    pub fn end_of(batch: &BatchInfo) -> Checkpoint {
        Checkpoint { tick: batch.tick, time: Some(batch.tick_time) }
    }

    /// Returns whether both are the same tick, as far as their times are recorded.
    pub fn is(&self, other: &Checkpoint) -> bool {
        let differs = matches!((self.time, other.time), (Some(own), Some(other)) if own != other);
        self.tick == other.tick && !differs
    }
}

/// A recorded position relative to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the batch's start: the batch is the next one.
    Start,
    /// At its end: the batch was processed.
    End,
    /// At a tick of a higher number.
    Beyond,
    /// Before its start, within it, or at a tick that has the number of its start or end and is another one.
    Elsewhere,
}

impl Place {
    /// Compares a recorded position with a batch.
    pub fn of(recorded: &Checkpoint, batch: &BatchInfo) -> Place {
        if recorded.is(&Checkpoint::start_of(batch)) {
            Place::Start
        } else if recorded.is(&Checkpoint::end_of(batch)) {
            Place::End
        } else if recorded.tick > batch.tick {
            Place::Beyond
        } else {
            Place::Elsewhere
        }
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
    fn a_place_is_seen_from_a_batch() {
        let time = |second| DateTime::from_timestamp(second, 123_456_000).unwrap_or_default();
        let batch = BatchInfo {
            id: 1,
            prev_tick: 3,
            tick: 5,
            prev_tick_time: time(30),
            tick_time: time(50),
            event_ids: 0,
        };
        for (recorded, place) in [
            (at(3, Some(30)), Place::Start),
            (at(3, None), Place::Start),
            (at(3, Some(31)), Place::Elsewhere),
            (at(5, Some(50)), Place::End),
            (at(5, None), Place::End),
            (at(5, Some(51)), Place::Elsewhere),
            (at(2, Some(20)), Place::Elsewhere),
            (at(4, Some(40)), Place::Elsewhere),
            (at(6, Some(60)), Place::Beyond),
        ] {
            assert_eq!(Place::of(&recorded, &batch), place, "{recorded}");
        }
    }

    #[test]
    fn both_are_shown() {
        assert_eq!(at(7, Some(0)).to_string(), "tick 7 of 1970-01-01 00:00:00.123456 UTC");
        assert_eq!(at(7, None).to_string(), "tick 7 of an unknown time");
    }
}
