//! An open batch.

use chrono::{DateTime, Utc};

/// An open batch: the events that became visible between two ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchInfo {
    /// The batch's id, unique in the database. After a crash of the server an id may be reused for other ticks, since
    /// the opening of a batch is not always flushed to disk. So do not use it to recognize events elsewhere; use event
    /// ids.
    pub id: i64,
    /// The tick at which the batch starts.
    pub prev_tick: i64,
    /// The tick at which the batch ends.
    pub tick: i64,
    /// When the batch starts; as [`Event::time`](crate::Event::time) where no `DateTime` can hold it.
    pub prev_tick_time: DateTime<Utc>,
    /// When the batch ends; as [`Event::time`](crate::Event::time) where no `DateTime` can hold it.
    pub tick_time: DateTime<Utc>,
    /// The number of event ids assigned between the batch's ticks, which approximates the number of its events.
    pub(crate) event_ids: i64,
}
