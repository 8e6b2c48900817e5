//! Settings of a loop: its delays, and the handling of failures.

use std::time::Duration;

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
    /// The errors that are logged as warnings during `exception_grace`. Defaults to none.
    pub exception_quiet: Vec<ErrorPattern>,
    /// The time for which `exception_quiet` applies, counted from the first failed round. Defaults to 300 seconds.
    pub exception_grace: Duration,
    /// The time without a failed round after which the next failed one counts as the first. Defaults to 900 seconds.
    pub exception_reset: Duration,
}

impl Default for LoopSettings {
    fn default() -> LoopSettings {
        LoopSettings {
            loop_delay: 1.0,
            exception_sleep: Duration::from_secs(20),
            exception_quiet: Vec::new(),
            exception_grace: Duration::from_secs(300),
            exception_reset: Duration::from_secs(900),
        }
    }
}
