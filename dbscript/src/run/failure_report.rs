//! Reports of failed rounds, each at its log level.

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use log::{Level, debug, log};

use crate::error::describe;
use crate::error::pattern::ErrorPattern;
use crate::run::loop_settings::LoopSettings;
use crate::text::log_throttle::LogThrottle;

/// Records failed rounds and logs them, a repeated error once a minute.
pub(crate) struct FailureReport {
    job: String,
    quiet: Vec<ErrorPattern>,
    grace: Duration,
    reset: Duration,
    /// The times of the first and the last failed round since the last `exception_reset`.
    failures: Option<(Instant, Instant)>,
    /// The failed rounds since the last successful one.
    streak: Option<Streak>,
    throttle: LogThrottle,
}

struct Streak {
    rounds: u64,
    since: Instant,
    is_logged: bool,
}

impl FailureReport {
    pub(crate) fn new(job: &str, settings: &LoopSettings) -> FailureReport {
        FailureReport {
            job: job.to_owned(),
            quiet: settings.exception_quiet.clone(),
            grace: settings.exception_grace,
            reset: settings.exception_reset,
            failures: None,
            streak: None,
            throttle: LogThrottle::default(),
        }
    }

    /// Applies new settings and keeps the record of failures.
    pub(crate) fn follow(&mut self, settings: &LoopSettings) {
        self.quiet.clone_from(&settings.exception_quiet);
        self.grace = settings.exception_grace;
        self.reset = settings.exception_reset;
    }

    /// Logs a failed round: at its level the first time and once a minute, at debug level in between.
    pub(crate) fn failed(&mut self, error: &(dyn StdError + 'static), now: Instant) {
        let (since, _) = *self.failures.get_or_insert((now, now));
        self.failures = Some((since, now));
        let level = if self.is_quiet(error, now - since) { Level::Warn } else { Level::Error };
        let line = describe(error);
        let admitted = self.throttle.admit_at(&line, now);
        let streak = self.streak.get_or_insert(Streak { rounds: 0, since: now, is_logged: false });
        streak.rounds += 1;
        streak.is_logged |= admitted.is_some();
        match admitted {
            Some(0) => log!(level, "Job {} failed: {line}", self.job),
            Some(more) => {
                log!(level, "Job {} failed: {line} ({more} times more since the last line)", self.job)
            }
            None => debug!("Job {} failed again: {line}", self.job),
        }
    }

    /// Records a successful round, and logs the recovery after failed ones.
    pub(crate) fn worked(&mut self, now: Instant) {
        if self.failures.is_some_and(|(_, last)| now - last >= self.reset) {
            self.failures = None;
        }
        if let Some(streak) = self.streak.take() {
            let level = if streak.is_logged { Level::Info } else { Level::Debug };
            let rounds = if streak.rounds == 1 { "round" } else { "rounds" };
            let seconds = (now - streak.since).as_secs_f64();
            log!(
                level,
                "Job {} works again after {} failed {rounds} in {seconds:.1} s",
                self.job,
                streak.rounds
            );
        }
    }

    #[cfg(test)]
    pub(crate) fn is_failing(&self) -> bool {
        self.streak.is_some()
    }

    fn is_quiet(&self, error: &(dyn StdError + 'static), age: Duration) -> bool {
        age < self.grace && self.quiet.iter().any(|kind| kind.matches(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn report() -> FailureReport {
        let exception_quiet = vec![ErrorPattern::from_name("ALL")];
        FailureReport::new("test", &LoopSettings { exception_quiet, ..LoopSettings::default() })
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn quiet_errors_are_quiet_until_the_grace_is_over_and_again_after_a_good_time() {
        let (mut report, start) = (report(), Instant::now());
        let error = Error::failed("away");
        let quiet = |report: &mut FailureReport, at: Duration| {
            report.failed(&error, start + at);
            let (since, last) = report.failures.expect("just failed");
            report.is_quiet(&error, last - since)
        };
        assert!(quiet(&mut report, seconds(0)));
        assert!(quiet(&mut report, seconds(299)));
        assert!(!quiet(&mut report, seconds(300)));
        report.worked(start + seconds(301));
        assert!(!quiet(&mut report, seconds(302)));
        report.worked(start + seconds(302 + 900));
        assert!(quiet(&mut report, seconds(2000)));
    }
}
