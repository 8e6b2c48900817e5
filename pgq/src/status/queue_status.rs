//! The status of one queue.

use std::time::Duration;

use serde::Serialize;

use super::{ConsumerStatus, Holder};
use crate::time;

/// The status of one queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QueueStatus {
    /// The queue's name.
    pub name: String,
    /// Where the rotation of its tables is.
    pub rotation: Rotation,
    /// When it is to be ticked.
    pub ticker: TickThresholds,
    /// The age of its last tick; `None` as long as there is none.
    #[serde(serialize_with = "time::in_seconds_opt")]
    pub ticker_lag: Option<Duration>,
    /// Events per second over the last ticks; `None` when there are too few of them.
    pub events_per_second: Option<f64>,
    /// How many event ids were taken since the last tick, which is about how many events: ids of transactions that
    /// are still open or were rolled back count too, events that came with ids of their own do not.
    pub new_events: Option<i64>,
    /// Its last tick.
    pub last_tick: Option<i64>,
    /// The last event id that was taken before that tick.
    pub last_tick_event: Option<i64>,
    /// Whether the ticker leaves it alone.
    pub paused: bool,
    /// Whether its ticks come from elsewhere.
    pub external: bool,
    /// Whether it takes no events.
    pub disabled: bool,
    /// How many events wait to come back; `None` when this role may not see that.
    pub retry_events: Option<u64>,
    /// Its consumers, by name.
    pub consumers: Vec<ConsumerStatus>,
}

/// Where the rotation of a queue's tables is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rotation {
    /// The number of the table that takes the events, from 0.
    pub table: u32,
    /// How many tables there are.
    pub tables: u32,
    /// How long a table is to take the events.
    #[serde(serialize_with = "time::in_seconds")]
    pub period: Duration,
    /// How long the present one has.
    #[serde(serialize_with = "time::in_seconds")]
    pub age: Duration,
    /// Whether the next rotation is due, which maintenance then does when it comes round.
    #[serde(rename = "due")]
    pub is_due: bool,
    /// What keeps maintenance from doing it, consumers first, the one farthest behind before the others. Empty when it
    /// is not due or nothing does.
    pub held_up_by: Vec<Holder>,
}

impl Rotation {
    /// Returns for how long the next rotation has been due.
    pub fn overdue(&self) -> Duration {
        self.age.saturating_sub(self.period)
    }
}

/// When a queue is to be ticked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TickThresholds {
    /// So many new events make a tick.
    pub max_count: i32,
    /// Events wait no longer than this for their tick.
    #[serde(serialize_with = "time::in_seconds")]
    pub max_lag: Duration,
    /// Without events, a tick comes after this.
    #[serde(serialize_with = "time::in_seconds")]
    pub idle_period: Duration,
}
