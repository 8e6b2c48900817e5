//! `%(asctime)s`: the local time of a message.

use chrono::{DateTime, Local};
use jiff::Timestamp;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};
use jiff::tz::TimeZone;

/// A `datefmt` in the syntax of C's `strftime`, or the default `2007-10-19 20:59:59,968`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DateFormat(Option<String>);

impl DateFormat {
    /// Creates a format; an empty one is the default.
    pub(crate) fn new(format: &str) -> DateFormat {
        DateFormat(Some(format.to_owned()).filter(|format| !format.is_empty()))
    }

    pub(crate) fn render(&self, time: DateTime<Local>) -> String {
        match &self.0 {
            None => time.format("%Y-%m-%d %H:%M:%S,%3f").to_string(),
            Some(format) => strftime(format, seconds(time), TimeZone::system()),
        }
    }
}

/// Renders a time in the C locale. Text other than conversions is kept.
pub(crate) fn strftime(format: &str, time: Timestamp, zone: TimeZone) -> String {
    let config = Config::new().custom(PosixCustom::new()).lenient(true);
    let time = time.to_zoned(zone);
    // A lenient configuration renders every format.
    BrokenDownTime::from(&time).to_string_with_config(&config, format).unwrap_or_else(|_| format.to_owned())
}

fn seconds(time: DateTime<Local>) -> Timestamp {
    // Only years after 9999 are out of range.
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}
