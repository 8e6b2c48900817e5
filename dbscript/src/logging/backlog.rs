//! What is still to be delivered.

use std::time::{Duration, Instant};

const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// What waits for a receiver.
pub(crate) trait Backlog {
    /// Begins to deliver everything that waits or is held back.
    fn hurry(&self);

    /// Waits until everything is delivered or the receiver proves to be away, or until a time.
    fn wait(&self, until: Instant);
}

/// Delivers several backlogs at the same time, within a second in all.
pub(crate) fn flush(backlogs: &[&dyn Backlog]) {
    let until = Instant::now() + FLUSH_LIMIT;
    backlogs.iter().for_each(|backlog| backlog.hurry());
    backlogs.iter().for_each(|backlog| backlog.wait(until));
}
