//! What is wrong with a receiver, told on standard error.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::text::printable::one_line;

const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Reports on standard error that a receiver cannot be reached, once in ten minutes: the log is what does not work.
#[derive(Default)]
pub(super) struct Complaint {
    told: Option<Instant>,
}

impl Complaint {
    /// Reports, if it has not just reported. A full or closed standard error is no reason to end.
    pub(super) fn tell(&mut self, text: impl FnOnce() -> String) {
        if self.told.is_none_or(|at| at.elapsed() >= INTERVAL) {
            self.told = Some(Instant::now());
            let _ = std::io::stderr().write_all(format!("{}\n", one_line(&text())).as_bytes());
        }
    }
}
