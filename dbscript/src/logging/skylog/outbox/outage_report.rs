//! Failures of a receiver of the log, reported on standard error.

use std::io::Write;
use std::time::Duration;

use crate::text::log_throttle::LogThrottle;
use crate::text::printable::one_line;

const PERIOD: Duration = Duration::from_secs(10 * 60);

/// Reports on standard error, once in ten minutes, that a receiver of the log cannot be reached.
pub(super) struct OutageReport(LogThrottle);

impl Default for OutageReport {
    fn default() -> OutageReport {
        OutageReport(LogThrottle::every(PERIOD))
    }
}

impl OutageReport {
    /// Reports a failure, unless one was reported in the last ten minutes. A full or closed standard error is ignored.
    pub(super) fn report(&self, text: impl FnOnce() -> String) {
        if self.0.admit_key("receiver").is_some() {
            let _ = std::io::stderr().write_all(format!("{}\n", one_line(&text())).as_bytes());
        }
    }
}
