//! An open batch.

use chrono::{DateTime, Utc};

/// An open batch: the events that became visible between two ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchInfo {
    /// The batch's id, unique in the database, except that after a crash of the server it may come again with other
    /// ticks: that a batch is opened need not have reached the disk. It does so only when a
    /// [`Consumer`](crate::Consumer) reads the queue, so do not recognize events by it elsewhere; their ids are for
    /// that.
    pub id: i64,
    /// The tick at which the batch starts.
    pub prev_tick: i64,
    /// The tick at which the batch ends.
    pub tick: i64,
    /// When the batch starts; as [`Event::time`](crate::Event::time) where no `DateTime` can hold it.
    pub prev_tick_time: DateTime<Utc>,
    /// When the batch ends; as [`Event::time`](crate::Event::time) where no `DateTime` can hold it.
    pub tick_time: DateTime<Utc>,
    /// How many event ids were taken between its ticks, which is about how many events it has.
    pub(crate) event_ids: i64,
}
