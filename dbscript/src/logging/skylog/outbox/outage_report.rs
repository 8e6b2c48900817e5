//! Reports of unreachable receivers on standard error.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::text::printable::one_line;

const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Reports on standard error, once in ten minutes, that a receiver of the log cannot be reached.
#[derive(Default)]
pub(super) struct OutageReport {
    last: Option<Instant>,
}

impl OutageReport {
    /// Reports, unless the last report is recent. A failed write to standard error is ignored.
    pub(super) fn report(&mut self, text: impl FnOnce() -> String) {
        if self.last.is_none_or(|at| at.elapsed() >= INTERVAL) {
            self.last = Some(Instant::now());
            let _ = std::io::stderr().write_all(format!("{}\n", one_line(&text())).as_bytes());
        }
    }
}
