//! The intervals of timed rotation.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// An interval, as `when` and `interval` of Python's `TimedRotatingFileHandler` describe it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Interval {
    when: When,
    count: u16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Second,
    Minute,
    Hour,
    Day,
    /// The end of a day.
    Midnight,
    /// The end of a day of the week; Monday is 0.
    Weekday(i8),
}

const DAY: i64 = 24 * 60 * 60;

impl Interval {
    /// Creates an interval; the case of `when` does not matter.
    ///
    /// # Errors
    ///
    /// A message that lists the valid values.
    pub(crate) fn new(when: &str, count: u16) -> Result<Interval, String> {
        let kind = match when.to_ascii_uppercase().as_bytes() {
            b"S" => When::Second,
            b"M" => When::Minute,
            b"H" => When::Hour,
            b"D" => When::Day,
            b"MIDNIGHT" => When::Midnight,
            [b'W', day @ b'0'..=b'6'] => When::Weekday((*day - b'0') as i8),
            _ => return Err(format!("`{when}` is none of S, M, H, D, midnight and W0 to W6")),
        };
        if count == 0 { Err("0 is no interval".to_owned()) } else { Ok(Interval { when: kind, count }) }
    }

    /// Returns the end of the interval that contains `begin`.
    pub(crate) fn end(&self, begin: Timestamp, zone: &TimeZone) -> Timestamp {
        let local = begin.to_zoned(zone.clone());
        let end = match self.when {
            When::Midnight => midnight(&local, i64::from(self.count)),
            When::Weekday(day) => {
                let ahead = (day - local.weekday().to_monday_zero_offset()).rem_euclid(7);
                midnight(&local, i64::from(ahead) + 1 + 7 * (i64::from(self.count) - 1))
            }
            _ => begin.checked_add(self.seconds().seconds()).ok(),
        };
        end.unwrap_or(Timestamp::MAX)
    }

    /// Returns the length of the interval in seconds, without changes of daylight saving time.
    pub(crate) fn seconds(&self) -> i64 {
        let one = match self.when {
            When::Second => 1,
            When::Minute => 60,
            When::Hour => 60 * 60,
            When::Day | When::Midnight => DAY,
            When::Weekday(_) => 7 * DAY,
        };
        one * i64::from(self.count)
    }

    /// Returns the format of the time in the name of an old file.
    pub(crate) fn suffix(&self) -> &'static str {
        match self.when {
            When::Second => "%Y-%m-%d_%H-%M-%S",
            When::Minute => "%Y-%m-%d_%H-%M",
            When::Hour => "%Y-%m-%d_%H",
            When::Day | When::Midnight | When::Weekday(_) => "%Y-%m-%d",
        }
    }

    /// Returns true if a text is the suffix of an old file: the time and an optional extension such as `.gz`.
    pub(crate) fn is_suffix(&self, suffix: &str) -> bool {
        let (time, extension) = suffix.split_once('.').unwrap_or((suffix, "x"));
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let expected = match self.when {
            When::Second => "0000-00-00_00-00-00",
            When::Minute => "0000-00-00_00-00",
            When::Hour => "0000-00-00_00",
            When::Day | When::Midnight | When::Weekday(_) => "0000-00-00",
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        shape == expected && !extension.is_empty() && extension.chars().all(is_word)
    }
}

/// Returns the first midnight of the day that is `days` days after `time`.
fn midnight(time: &Zoned, days: i64) -> Option<Timestamp> {
    let day = time.date().checked_add(days.days()).ok()?;
    day.to_zoned(time.time_zone().clone()).ok().map(|midnight| midnight.timestamp())
}
