//! One failed event.

use std::ops::Deref;

use chrono::{DateTime, Utc};
use postgres::Row;

use crate::event::stored_event::{Event, Made};
use crate::names::Name;
use crate::time::Time;

/// A failed event of a consumer, with the reason. Dereferences to its [`Event`].
#[derive(Clone, Debug)]
pub struct FailedEvent {
    event: Event,
    reason: Option<String>,
    failed_at: DateTime<Utc>,
}

/// The columns of texts: those of the event, then the reason.
const TEXTS: usize = 4;
const REASON: usize = 10;
const FAILED_AT: usize = 11;

impl FailedEvent {
    /// Reads a row. Bytes of its texts that are not valid text are shown as `\x` and two digits.
    pub(crate) fn new(row: &Row) -> FailedEvent {
        let text = |column: usize| row.try_get::<_, Option<Name>>(column).ok().flatten().map(|name| name.0);
        let time = |column: usize| row.try_get(column).map_or(DateTime::<Utc>::MIN_UTC, |Time(time)| time);
        FailedEvent {
            reason: text(REASON),
            failed_at: time(FAILED_AT),
            event: Event::made(Made {
                id: row.get(0),
                time: time(1),
                txid: row.try_get::<_, Option<i64>>(2).ok().flatten().unwrap_or_default(),
                retry: row.try_get::<_, Option<i32>>(3).ok().flatten().unwrap_or_default(),
                texts: [0, 1, 2, 3, 4, 5].map(|number| text(TEXTS + number)),
            }),
        }
    }

    /// Returns `ev_failed_reason`, the reason that the consumer reported; `None` when it is NULL.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns `ev_failed_time`, the time of the failure; as [`Event::time`] where no `DateTime` can hold it.
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
