//! The treatment of events without a handler.

use std::time::Duration;

/// The treatment of an event without a handler in a [`Router`](crate::Router). In each case the first event of each
/// type is a warning in the log, and all are counted ([`UnknownEvents`](crate::consume::UnknownEvents)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// The event is delivered again after this time, until a version of the program has a handler for it.
    Retry(Duration),
    /// The event counts as done.
    Skip,
    /// The event goes to the consumer's failed events.
    Fail,
    /// As an error of a handler: the batch is rolled back, or the [`RetryPolicy`](crate::RetryPolicy) decides.
    Error,
}

impl Unknown {
    /// Completes the sentence that begins with "such events".
    pub(super) fn fate(self) -> &'static str {
        match self {
            Unknown::Retry(_) => "are retried",
            Unknown::Skip => "are skipped",
            Unknown::Fail => "go to the failed events",
            Unknown::Error => "are errors",
        }
    }
}
