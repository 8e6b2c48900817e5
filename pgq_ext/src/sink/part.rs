//! The part of a batch that is applied at once.

use pgq::Event;

use super::Limits;

/// Events that are applied together.
pub(super) struct Part {
    limits: Limits,
    events: Vec<Event>,
    bytes: usize,
}

impl Part {
    pub(super) fn new(limits: Limits) -> Part {
        Part { limits, events: Vec::new(), bytes: 0 }
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns whether the part must be applied before an event is added.
    pub(super) fn is_full_with(&self, event: &Event) -> bool {
        let is_empty = self.events.is_empty();
        !is_empty && (self.events.len() >= self.limits.events || self.bytes + size(event) > self.limits.bytes)
    }

    pub(super) fn push(&mut self, event: Event) {
        self.bytes += size(&event);
        self.events.push(event);
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }
}

/// Returns the length of an event's texts in bytes.
fn size(event: &Event) -> usize {
    let extras = [event.extra1(), event.extra2(), event.extra3(), event.extra4()];
    let texts = extras.into_iter().chain([event.data(), Some(event.event_type())]);
    texts.flatten().map(str::len).sum()
}
