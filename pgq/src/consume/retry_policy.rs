//! The outcome of an event whose handler failed.

use std::time::Duration;

use dbscript::Backoff;

use crate::consume::outcome::Outcome;

/// Default of the delay before the first retry.
pub const DEFAULT_RETRY_DELAY: Duration = Duration::from_secs(60);
/// Default of the longest delay.
pub const DEFAULT_RETRY_CAP: Duration = Duration::from_secs(3600);

/// Decides what becomes of an event whose handler returned an error or panicked: it is retried after a while, and
/// given up after so many retries.
///
/// Without a policy an error rolls the whole batch back. With one, it rolls back what the handler wrote for this
/// event, and the batch goes on. The limit holds for retries that a handler asks for by [`Outcome::Retry`], too.
///
/// ```
/// use std::time::Duration;
/// use pgq::RetryPolicy;
///
/// // After 10, 20, 40 … seconds, an hour at most, each up to a fifth longer; ten times.
/// let policy = RetryPolicy::exponential(Duration::from_secs(10)).jitter(0.2).max_retries(10);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    backoff: Backoff,
    max_retries: Option<u32>,
}

impl RetryPolicy {
    /// Retries after the same time again and again.
    pub fn fixed(delay: Duration) -> RetryPolicy {
        RetryPolicy { backoff: Backoff::fixed(delay), max_retries: None }
    }

    /// Retries after this time, and each time after twice the time before, up to an hour
    /// ([`DEFAULT_RETRY_CAP`]).
    pub fn exponential(first: Duration) -> RetryPolicy {
        RetryPolicy::fixed(first).factor(2.0).cap(DEFAULT_RETRY_CAP)
    }

    /// Sets how many times longer each delay is than the one before; below 1, and what is no number, counts as 1.
    pub fn factor(mut self, factor: f64) -> RetryPolicy {
        self.backoff = self.backoff.factor(factor);
        self
    }

    /// Sets the longest delay.
    pub fn cap(mut self, cap: Duration) -> RetryPolicy {
        self.backoff = self.backoff.cap(cap);
        self
    }

    /// Makes each delay longer by a random part of itself, up to this one, so that events which failed together
    /// do not come back together. Defaults to 0; above 1 counts as 1, and
    /// what is no number as 0.
    pub fn jitter(mut self, part: f64) -> RetryPolicy {
        self.backoff = self.backoff.jitter(part);
        self
    }

    /// Sets how often an event is retried before it is given up, whoever asks for the retry. Defaults to for ever.
    pub fn max_retries(mut self, retries: u32) -> RetryPolicy {
        self.max_retries = Some(retries);
        self
    }

    /// Returns what becomes of an event that failed for a reason, after so many retries (`ev_retry`).
    pub fn outcome(&self, retries: i32, reason: &str) -> Outcome {
        match self.exhausted(retries) {
            Some(_) => Outcome::Failed(reason.to_owned()),
            None => Outcome::Retry(self.backoff.delay(retries.unsigned_abs())),
        }
    }

    /// Returns an outcome, or a failure when it is a retry beyond the limit.
    pub(crate) fn limited(&self, retries: i32, outcome: Outcome) -> Outcome {
        match (outcome, self.exhausted(retries)) {
            (Outcome::Retry(_), Some(limit)) => Outcome::Failed(format!(
                "the handler asks for a retry, and the limit of {limit} retries is reached"
            )),
            (outcome, _) => outcome,
        }
    }

    /// Returns the limit when it is reached.
    fn exhausted(&self, retries: i32) -> Option<u32> {
        self.max_retries.filter(|limit| retries.unsigned_abs() >= *limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_or_jitter_that_is_no_number_is_none() {
        let odd = RetryPolicy::fixed(Duration::from_secs(7)).factor(f64::NAN).jitter(f64::NAN);
        assert_eq!(odd, RetryPolicy::fixed(Duration::from_secs(7)));
    }

    #[test]
    fn an_event_is_given_up_after_so_many_retries() {
        let policy = RetryPolicy::fixed(Duration::from_secs(1)).max_retries(2);
        assert_eq!(policy.outcome(1, "no"), Outcome::Retry(Duration::from_secs(1)));
        assert_eq!(policy.outcome(2, "no"), Outcome::Failed("no".to_owned()));
        assert_eq!(policy.clone().max_retries(0).outcome(0, "no"), Outcome::Failed("no".to_owned()));
    }
}
