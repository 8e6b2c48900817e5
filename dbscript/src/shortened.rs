//! Time-outs that tests shorten.

use std::env;
use std::time::Duration;

/// Returns a time-out that is not a setting: a fifth of `whole` in a process with the environment variable
/// `PGQ_TEST_TIMEOUTS=short`, which is for tests only, otherwise `whole`.
pub fn shortened(whole: Duration) -> Duration {
    let is_short = env::var_os("PGQ_TEST_TIMEOUTS").is_some_and(|value| value == "short");
    if is_short { whole / 5 } else { whole }
}
