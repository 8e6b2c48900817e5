//! Messages that are not delivered yet.

use std::time::{Duration, Instant};

const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The messages that wait for a receiver.
pub(crate) trait Backlog {
    /// Starts the delivery of all waiting and deferred messages.
    fn start_flush(&self);

    /// Waits until all messages are delivered, the receiver proves unreachable, or `until` has passed.
    fn wait_until_flushed(&self, until: Instant);
}

/// Flushes several backlogs at the same time, within one second in all.
pub(crate) fn flush(backlogs: &[&dyn Backlog]) {
    let until = Instant::now() + FLUSH_LIMIT;
    backlogs.iter().for_each(|backlog| backlog.start_flush());
    backlogs.iter().for_each(|backlog| backlog.wait_until_flushed(until));
}
