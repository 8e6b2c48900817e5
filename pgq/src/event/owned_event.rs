//! An event to insert that owns its texts.

use std::borrow::Cow;
use std::mem::size_of;

use chrono::{DateTime, Utc};

use crate::event::new_event::NewEvent;

/// An event to insert later or on another thread. Fields that are not set are NULL.
///
/// ```
/// use pgq::{NewEvent, OwnedEvent};
///
/// let event = OwnedEvent::new("welcome", format!("{}@example.org", "jane"));
/// assert_eq!(event.as_new_event(), NewEvent::new("welcome", "jane@example.org"));
/// assert_eq!(OwnedEvent::from(NewEvent::new("welcome", "jane@example.org")), event);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedEvent {
    event_type: Option<String>,
    data: Option<String>,
    extra: [Option<String>; 4],
    time: Option<DateTime<Utc>>,
    at: Option<DateTime<Utc>>,
}

impl OwnedEvent {
    /// Makes an event with a type and data. To set other fields, convert a [`NewEvent`] by `From`.
    pub fn new(event_type: impl Into<String>, data: impl Into<String>) -> OwnedEvent {
        OwnedEvent { event_type: Some(event_type.into()), data: Some(data.into()), ..OwnedEvent::default() }
    }

    /// Sets `ev_extra1` to `ev_extra4`.
    pub fn extra(mut self, extra: [Option<String>; 4]) -> OwnedEvent {
        self.extra = extra;
        self
    }

    /// Sets the event's time. Defaults to the time of the transaction that inserts it.
    pub fn time(mut self, time: DateTime<Utc>) -> OwnedEvent {
        self.time = Some(time);
        self
    }

    /// Delays the event, as [`NewEvent::at`] does.
    pub fn at(mut self, time: DateTime<Utc>) -> OwnedEvent {
        self.at = Some(time);
        self
    }

    /// Borrows the event.
    pub fn as_new_event(&self) -> NewEvent<'_> {
        NewEvent {
            event_type: self.event_type.as_deref().map(Cow::Borrowed),
            data: self.data.as_deref().map(Cow::Borrowed),
            extra: self.extra.each_ref().map(|text| text.as_deref().map(Cow::Borrowed)),
            time: self.time,
            at: self.at,
        }
    }

    /// Returns the memory that the event takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<OwnedEvent>() + self.texts().map(String::capacity).sum::<usize>()
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &String> {
        [&self.event_type, &self.data].into_iter().chain(&self.extra).flatten()
    }
}

impl From<NewEvent<'_>> for OwnedEvent {
    fn from(event: NewEvent<'_>) -> OwnedEvent {
        OwnedEvent {
            event_type: event.event_type.map(Cow::into_owned),
            data: event.data.map(Cow::into_owned),
            extra: event.extra.map(|text| text.map(Cow::into_owned)),
            time: event.time,
            at: event.at,
        }
    }
}
