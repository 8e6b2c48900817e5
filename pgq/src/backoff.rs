//! Delays that grow from attempt to attempt.

use std::time::Duration;

/// The delays between attempts: each `factor` times as long as the one before, up to `cap`, plus a random part of
/// itself of up to `jitter`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) factor: f64,
    pub(crate) cap: Duration,
    pub(crate) jitter: f64,
}

impl Backoff {
    /// Makes delays that are all the same.
    pub(crate) fn fixed(delay: Duration) -> Backoff {
        Backoff { first: delay, factor: 1.0, cap: Duration::MAX, jitter: 0.0 }
    }

    /// Returns the delay after a number of attempts.
    pub(crate) fn delay(&self, attempts: u32) -> Duration {
        self.delay_by_chance(attempts, fastrand::f64())
    }

    fn delay_by_chance(&self, attempts: u32, chance: f64) -> Duration {
        if self.first.is_zero() {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(attempts).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(exponent);
        let capped = seconds.min(self.cap.as_secs_f64());
        Duration::try_from_secs_f64(capped * (1.0 + self.jitter * chance)).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn doubling(seconds: u64) -> Backoff {
        Backoff { factor: 2.0, cap: HOUR, ..Backoff::fixed(Duration::from_secs(seconds)) }
    }

    #[test]
    fn delays_grow_up_to_the_cap_and_vary_by_the_jitter() {
        let backoff = Backoff { jitter: 0.5, ..doubling(10) };
        let seconds = |attempts, chance| backoff.delay_by_chance(attempts, chance).as_secs_f64();
        assert_eq!([seconds(0, 0.0), seconds(1, 0.0), seconds(3, 0.0)], [10.0, 20.0, 80.0]);
        assert_eq!([seconds(0, 1.0), seconds(30, 0.0), seconds(u32::MAX, 0.0)], [15.0, 3600.0, 3600.0]);
        let fixed = Backoff::fixed(Duration::from_secs(7));
        assert_eq!(fixed.delay_by_chance(5, 1.0), Duration::from_secs(7));
    }

    #[test]
    fn no_delay_stays_none_and_a_steep_one_is_capped() {
        let none = Backoff { jitter: 1.0, ..doubling(0) };
        for attempts in [0, 1, 5000, u32::MAX] {
            assert_eq!(none.delay_by_chance(attempts, 1.0), Duration::ZERO);
        }
        let steep = Backoff { factor: f64::INFINITY, ..doubling(7) };
        assert_eq!(steep.delay_by_chance(1, 0.0), HOUR);
    }
}
