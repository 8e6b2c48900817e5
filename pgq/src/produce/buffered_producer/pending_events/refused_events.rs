//! Events that the server refuses.

use dbscript::printable;

use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// The length of the type in a message, in characters.
const SHOWN: usize = 60;

/// Events that the server refuses because of their values, and the error of the first.
#[derive(Default)]
pub(super) struct RefusedEvents {
    events: Vec<OwnedEvent>,
    error: Option<Error>,
    bytes: usize,
    /// How many events were refused, including those that were taken back.
    total: u64,
}

impl RefusedEvents {
    /// Adds an event; returns the error that names it.
    pub(super) fn put(&mut self, event: OwnedEvent, cause: &Error) -> Error {
        let shown: String = event.as_new_event().event_type.unwrap_or_default().chars().take(SHOWN).collect();
        let what = format!(
            "the server refuses an event of type `{}`; it is kept for `take_refused`",
            printable(&shown)
        );
        let mut error = Error::failed(what).caused_by(cause.clone());
        if let Some(queue) = cause.queue() {
            error = error.on_queue(queue);
        }
        self.bytes += event.size();
        self.events.push(event);
        self.total += 1;
        self.error.get_or_insert_with(|| error.clone());
        error
    }

    /// Returns the error of the first event.
    pub(super) fn error(&self) -> Option<Error> {
        self.error.clone()
    }

    pub(super) fn take(&mut self) -> Vec<OwnedEvent> {
        (self.error, self.bytes) = (None, 0);
        std::mem::take(&mut self.events)
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }
}
