//! An event that a producer did not accept.

use std::fmt;

use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// An event that a [`BufferedProducer`](crate::BufferedProducer) did not accept, and why.
pub struct SendError(Box<Inner>);

struct Inner {
    event: OwnedEvent,
    reason: Reason,
}

/// Why an event is not accepted.
pub(super) enum Reason {
    Full,
    Closed,
    Failed(Error),
}

impl SendError {
    pub(super) fn new(event: OwnedEvent, reason: Reason) -> SendError {
        SendError(Box::new(Inner { event, reason }))
    }

    /// Returns the event.
    pub fn event(&self) -> &OwnedEvent {
        &self.0.event
    }

    /// Returns the event by value.
    pub fn into_event(self) -> OwnedEvent {
        self.0.event
    }

    /// Returns whether the buffer is full, so that the event may be accepted later.
    pub fn is_full(&self) -> bool {
        matches!(self.0.reason, Reason::Full)
    }

    /// Returns whether the producer is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self.0.reason, Reason::Closed)
    }

    /// Returns the error of the server, or the error in the event, if there is one.
    pub fn error(&self) -> Option<&Error> {
        match &self.0.reason {
            Reason::Failed(error) => Some(error),
            Reason::Full | Reason::Closed => None,
        }
    }
}

/// Shows the whole chain as one line, without the event.
impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dbscript::one_line(&dbscript::describe(self)))
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.reason {
            Reason::Full => "the producer's buffer is full",
            Reason::Closed => "the producer is closed",
            Reason::Failed(_) => "the producer did not accept an event",
        })
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error().map(|error| error as _)
    }
}
