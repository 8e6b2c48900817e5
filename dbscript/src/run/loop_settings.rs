//! Settings of a loop: its delays, and the handling of failures.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::error::pattern::ErrorPattern;

/// Settings of a loop: its delays, and the handling of failures.
///
/// ```
/// let mut settings = dbscript::LoopSettings::default();
/// settings.loop_delay = 0.1;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoopSettings {
    /// The sleep after an idle round, in seconds. With 0, the loop ends instead of sleeping; below 0, it ends after
    /// one round. Defaults to 1.
    pub loop_delay: f64,
    /// The wait after a failed round. Defaults to 20 seconds.
    pub exception_sleep: Duration,
    /// The wait after a failed round in place of `exception_sleep`, longer with each failed round in a row. Defaults to
    /// none.
    pub exception_backoff: Option<Backoff>,
    /// The errors that are logged as warnings during `exception_grace`. Defaults to none.
    pub exception_quiet: Vec<ErrorPattern>,
    /// The time for which `exception_quiet` applies, counted from the first failed round. Defaults to 300 seconds.
    pub exception_grace: Duration,
    /// The time without a failed round after which the next failed one counts as the first. Defaults to 900 seconds.
    pub exception_reset: Duration,
    /// The [target](log::Record::target) of the loop's log lines. Defaults to `dbscript`.
    pub log_target: &'static str,
}

impl Default for LoopSettings {
    fn default() -> LoopSettings {
        LoopSettings {
            loop_delay: 1.0,
            exception_sleep: Duration::from_secs(20),
            exception_backoff: None,
            log_target: "dbscript",
            exception_quiet: Vec::new(),
            exception_grace: Duration::from_secs(300),
            exception_reset: Duration::from_secs(900),
        }
    }
}

impl LoopSettings {
    /// Returns the wait after a failed round that follows `before` other failed ones.
    pub(crate) fn exception_wait(&self, before: u32) -> Duration {
        self.exception_backoff.as_ref().map_or(self.exception_sleep, |backoff| backoff.delay(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_takes_the_place_of_the_wait() {
        let mut settings = LoopSettings::default();
        assert_eq!(settings.exception_wait(3), Duration::from_secs(20));
        settings.exception_backoff =
            Some(Backoff::exponential(Duration::from_secs(1), Duration::from_secs(20)));
        let waits = [0, 1, 4, 5, 50].map(|before| settings.exception_wait(before).as_secs());
        assert_eq!(waits, [1, 2, 16, 20, 20]);
    }
}
