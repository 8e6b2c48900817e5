//! One failed event.

use std::ops::Deref;

use chrono::{DateTime, Utc};
use postgres::Row;

use crate::Event;
use crate::time::Time;

/// An event that its consumer gave up, with the reason. All that an [`Event`] tells it tells too.
#[derive(Clone, Debug)]
pub struct FailedEvent {
    event: Event,
    reason: Option<String>,
    failed_at: DateTime<Utc>,
}

/// The columns behind those of the event.
const REASON: usize = 10;
const FAILED_AT: usize = 11;

impl FailedEvent {
    pub(crate) fn new(row: Row) -> FailedEvent {
        FailedEvent {
            reason: row.try_get(REASON).ok().flatten(),
            failed_at: row.try_get(FAILED_AT).map_or(DateTime::<Utc>::MIN_UTC, |Time(time)| time),
            event: Event::new(row),
        }
    }

    /// Returns `ev_failed_reason`: what the consumer gave as the reason; `None` when it is NULL.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns `ev_failed_time`: when the consumer gave it up; as [`Event::time`] where no `DateTime` can hold it.
    pub fn failed_at(&self) -> DateTime<Utc> {
        self.failed_at
    }
}

impl Deref for FailedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}
