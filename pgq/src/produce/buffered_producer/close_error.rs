//! Events that were left when a producer ended.

use std::fmt;

use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// Events that were left when a [`BufferedProducer`](crate::BufferedProducer) ended, and why.
pub struct CloseError {
    events: Vec<OwnedEvent>,
    error: Error,
}

impl CloseError {
    pub(super) fn new(events: Vec<OwnedEvent>, error: Error) -> CloseError {
        CloseError { events, error }
    }

    /// Returns the events that may not be inserted, in the order in which they were sent.
    ///
    /// If the connection broke during a commit, some of them may be inserted. If the producer was closed before, there
    /// are none: the first call has returned them.
    pub fn events(&self) -> &[OwnedEvent] {
        &self.events
    }

    /// Returns these events by value.
    pub fn into_events(self) -> Vec<OwnedEvent> {
        self.events
    }

    /// Returns the reason why the events were not inserted.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

/// Shows the whole chain as one line, without the events.
impl fmt::Debug for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dbscript::one_line(&dbscript::describe(self)))
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.events.len() {
            0 => f.write_str("the producer was closed before, and not all events were inserted"),
            1 => f.write_str("1 event was not inserted"),
            count => write!(f, "{count} events were not inserted"),
        }
    }
}

impl std::error::Error for CloseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
