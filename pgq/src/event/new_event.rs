//! An event to insert.

use chrono::{DateTime, Utc};

/// An event to insert. Fields that are not set are NULL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewEvent<'a> {
    pub(crate) event_type: Option<&'a str>,
    pub(crate) data: Option<&'a str>,
    pub(crate) extra: [Option<&'a str>; 4],
    pub(crate) time: Option<DateTime<Utc>>,
}

impl<'a> NewEvent<'a> {
    /// Makes an event with a type and data.
    pub fn new(event_type: &'a str, data: &'a str) -> NewEvent<'a> {
        NewEvent { event_type: Some(event_type), data: Some(data), ..NewEvent::default() }
    }

    /// Sets the type, or leaves it NULL.
    pub fn event_type(mut self, event_type: Option<&'a str>) -> NewEvent<'a> {
        self.event_type = event_type;
        self
    }

    /// Sets the data, or leaves it NULL.
    pub fn data(mut self, data: Option<&'a str>) -> NewEvent<'a> {
        self.data = data;
        self
    }

    /// Sets `ev_extra1` to `ev_extra4`.
    pub fn extra(mut self, extra: [Option<&'a str>; 4]) -> NewEvent<'a> {
        self.extra = extra;
        self
    }

    /// Sets the event's time, which only inserting in bulk can store; `DateTime::MAX_UTC` is stored as `infinity`,
    /// `DateTime::MIN_UTC` as `-infinity`. Defaults to the transaction's time.
    pub fn time(mut self, time: DateTime<Utc>) -> NewEvent<'a> {
        self.time = Some(time);
        self
    }
}
