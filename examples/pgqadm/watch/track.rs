//! The history of a queue or a consumer.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::snapshot::Measurement;

/// The number of refreshes in the chart.
const REMEMBERED: usize = 600;

/// The rate and the lags of one queue or consumer.
#[derive(Debug, Default)]
pub(crate) struct Track {
    last: Option<(DateTime<Utc>, i64)>,
    rate: Option<f64>,
    /// The lags in milliseconds, the latest first; `None` for a failed refresh or an undefined lag.
    lags: VecDeque<Option<u64>>,
}

impl Track {
    /// Adds a measurement.
    pub(crate) fn add(&mut self, time: DateTime<Utc>, measurement: &Measurement) {
        let now = measurement.position.map(|position| (time, position));
        self.rate = self.last.zip(now).and_then(|(before, now)| per_second(before, now));
        self.last = now;
        self.remember(measurement.lag);
    }

    /// Records a failed refresh. The next rate spans the time since the last successful one.
    pub(crate) fn miss(&mut self) {
        self.remember(None);
    }

    /// Returns the events per second between the last two successful refreshes.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Returns the lags in milliseconds, the latest first.
    pub(crate) fn lags(&self) -> impl ExactSizeIterator<Item = Option<u64>> {
        self.lags.iter().copied()
    }

    fn remember(&mut self, lag: Option<Duration>) {
        self.lags.truncate(REMEMBERED - 1);
        self.lags.push_front(lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)));
    }
}

/// Returns the rate between two positions. A position that has decreased belongs to another queue of the same name, or
/// to a consumer that was moved, and has no rate.
fn per_second(before: (DateTime<Utc>, i64), now: (DateTime<Utc>, i64)) -> Option<f64> {
    let events = now.1.checked_sub(before.1).filter(|events| *events >= 0)?;
    let time = (now.0 - before.0).to_std().ok().filter(|time| !time.is_zero())?;
    Some(events as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::snapshot::Id;
    use super::*;

    fn measurement(position: i64, lag: u64) -> Measurement {
        let id = Id { queue: "q".to_owned(), consumer: None };
        Measurement { id, position: Some(position), lag: Some(Duration::from_secs(lag)) }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn rates_are_over_the_time_between_two_refreshes() {
        let mut track = Track::default();
        let mut check = |time, position, expected| {
            track.add(at(time), &measurement(position, 0));
            assert_eq!(track.rate(), expected, "at {time}");
        };
        check(0, 100, None);
        check(2, 150, Some(25.0));
        check(12, 150, Some(0.0));
        check(13, 20, None);
        check(14, 21, Some(1.0));
        check(14, 22, None);
        check(10, 23, None);
        track.miss();
        track.add(at(20), &measurement(33, 0));
        assert_eq!(track.rate(), Some(1.0));
    }

    #[test]
    fn lags_are_kept_for_a_while_with_their_gaps() {
        let mut track = Track::default();
        for lag in 0..1000 {
            track.add(at(0), &measurement(0, lag));
        }
        track.miss();
        assert_eq!(track.lags().len(), REMEMBERED);
        assert_eq!(track.lags().take(3).collect::<Vec<_>>(), [None, Some(999_000), Some(998_000)]);
    }
}
