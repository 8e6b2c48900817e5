//! Delays that grow from attempt to attempt.

use std::time::Duration;

/// The delays between attempts: each is `factor` times the delay before it, at most `cap`, plus a random part of itself
/// of up to `jitter`.
///
/// ```
/// use std::time::Duration;
/// use dbscript::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(60));
/// assert_eq!(backoff.delay(0), Duration::from_secs(1));
/// assert_eq!(backoff.delay(3), Duration::from_secs(8));
/// assert_eq!(backoff.delay(9), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    factor: f64,
    cap: Duration,
    jitter: f64,
}

impl Backoff {
    /// Makes a backoff with the same delay after each attempt.
    pub const fn fixed(delay: Duration) -> Backoff {
        Backoff { first: delay, factor: 1.0, cap: Duration::MAX, jitter: 0.0 }
    }

    /// Makes a backoff that begins with the delay `first` and doubles it after each attempt, up to `cap`.
    pub const fn exponential(first: Duration, cap: Duration) -> Backoff {
        Backoff { first, factor: 2.0, cap, jitter: 0.0 }
    }

    /// Sets the ratio of a delay to the one before it. Defaults to 1 for [`fixed`](Backoff::fixed) and to 2 for
    /// [`exponential`](Backoff::exponential). Values below 1 and NaN count as 1.
    pub fn factor(self, factor: f64) -> Backoff {
        Backoff { factor: factor.max(1.0), ..self }
    }

    /// Sets the longest delay, without the jitter.
    pub fn cap(self, cap: Duration) -> Backoff {
        Backoff { cap, ..self }
    }

    /// Sets the random part by which a delay may be longer, as a fraction of the delay. Defaults to 0; values above 1
    /// count as 1, NaN as 0.
    pub fn jitter(self, part: f64) -> Backoff {
        Backoff { jitter: if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) }, ..self }
    }

    /// Returns the delay after a number of earlier attempts.
    pub fn delay(&self, attempts: u32) -> Duration {
        self.delay_at(attempts, fastrand::f64())
    }

    /// Returns the delay for a random number between 0 and 1.
    fn delay_at(&self, attempts: u32, random: f64) -> Duration {
        if self.first.is_zero() {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(attempts).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(exponent);
        let capped = seconds.min(self.cap.as_secs_f64());
        Duration::try_from_secs_f64(capped * (1.0 + self.jitter * random)).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn doubling(seconds: u64) -> Backoff {
        Backoff::exponential(Duration::from_secs(seconds), HOUR)
    }

    #[test]
    fn delays_grow_up_to_the_cap_and_vary_by_the_jitter() {
        let backoff = doubling(10).jitter(0.5);
        let seconds = |attempts, random| backoff.delay_at(attempts, random).as_secs_f64();
        assert_eq!([seconds(0, 0.0), seconds(1, 0.0), seconds(3, 0.0)], [10.0, 20.0, 80.0]);
        assert_eq!([seconds(0, 1.0), seconds(30, 0.0), seconds(u32::MAX, 0.0)], [15.0, 3600.0, 3600.0]);
        let fixed = Backoff::fixed(Duration::from_secs(7));
        assert_eq!(fixed.delay_at(5, 1.0), Duration::from_secs(7));
    }

    #[test]
    fn no_delay_stays_none_and_a_steep_one_is_capped() {
        let none = doubling(0).jitter(1.0);
        for attempts in [0, 1, 5000, u32::MAX] {
            assert_eq!(none.delay_at(attempts, 1.0), Duration::ZERO);
        }
        assert_eq!(doubling(7).factor(f64::INFINITY).delay_at(1, 0.0), HOUR);
    }

    #[test]
    fn a_factor_or_jitter_that_is_no_number_is_none() {
        let fixed = Backoff::fixed(HOUR);
        assert_eq!(fixed.clone().factor(f64::NAN).jitter(f64::NAN), fixed);
    }
}
