//! The status of one queue.

use std::time::Duration;

use serde::Serialize;

use super::{ConsumerStatus, RotationBlocker};
use crate::time;

/// The status of one queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QueueStatus {
    /// The queue's name.
    pub name: String,
    /// The state of the rotation of the queue's tables.
    pub rotation: Rotation,
    /// The settings that decide when the queue is ticked.
    pub ticker: TickThresholds,
    /// The age of the last tick; `None` before the first tick.
    #[serde(serialize_with = "time::in_seconds_opt")]
    pub ticker_lag: Option<Duration>,
    /// Events per second over the last twenty ticks; `None` with too few ticks.
    pub events_per_second: Option<f64>,
    /// The number of event ids assigned since the last tick, which approximates the number of events. Ids assigned to
    /// open or aborted transactions are counted; events inserted with an explicit id are not.
    pub new_events: Option<i64>,
    /// The last tick.
    pub last_tick: Option<i64>,
    /// The last event id that was assigned before that tick.
    pub last_tick_event: Option<i64>,
    /// Whether the ticker skips the queue.
    pub paused: bool,
    /// Whether ticks are made by another program.
    pub external: bool,
    /// Whether inserting events is disabled.
    pub disabled: bool,
    /// The number of events that wait for a retry; `None` when this role may not read them.
    pub retry_events: Option<u64>,
    /// The queue's consumers, ordered by name.
    pub consumers: Vec<ConsumerStatus>,
}

/// The state of the rotation of a queue's tables.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rotation {
    /// The number of the table that receives new events, from 0.
    pub table: u32,
    /// The number of tables.
    pub tables: u32,
    /// The time for which a table receives events.
    #[serde(serialize_with = "time::in_seconds")]
    pub period: Duration,
    /// The time for which the current table has received events.
    #[serde(serialize_with = "time::in_seconds")]
    pub age: Duration,
    /// Whether the next rotation is due. The next maintenance run does it.
    #[serde(rename = "due")]
    pub is_due: bool,
    /// The causes that hold up a due rotation: consumers first, ordered by lag, the largest first. Empty when the
    /// rotation is not due or not held up.
    pub held_up_by: Vec<RotationBlocker>,
}

impl Rotation {
    /// Returns the time since the next rotation became due.
    pub fn overdue(&self) -> Duration {
        self.age.saturating_sub(self.period)
    }
}

/// The settings that decide when a queue is ticked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TickThresholds {
    /// The number of new events that triggers a tick.
    pub max_count: i32,
    /// The time after which new events get a tick at the latest.
    #[serde(serialize_with = "time::in_seconds")]
    pub max_lag: Duration,
    /// The time after which a queue without new events gets a tick.
    #[serde(serialize_with = "time::in_seconds")]
    pub idle_period: Duration,
}
