//! The status of one consumer.

use std::time::Duration;

use serde::Serialize;

use crate::time;

/// The status of one consumer of a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// The consumer's name; a subconsumer's is `consumer.subconsumer`.
    pub name: String,
    /// The consumer's role among cooperative consumers; `None` for a consumer without subconsumers.
    pub cooperation: Option<Cooperation>,
    /// The age of the last tick that the consumer has processed; `None` for a subconsumer without a batch.
    #[serde(serialize_with = "time::in_seconds_opt")]
    pub lag: Option<Duration>,
    /// The time since the consumer last opened or finished a batch.
    #[serde(serialize_with = "time::in_seconds")]
    pub last_seen: Duration,
    /// The last tick that the consumer has processed.
    pub last_tick: Option<i64>,
    /// The last event id that was assigned before that tick.
    pub last_tick_event: Option<i64>,
    /// The open batch, if any.
    pub batch: Option<i64>,
    /// The tick at which the open batch ends.
    pub next_tick: Option<i64>,
    /// The number of event ids between the consumer's tick and the queue's last tick, which approximates the number of
    /// pending events.
    pub pending_events: Option<i64>,
    /// The number of events that wait for a retry; `None` when this role may not read them, and for a subconsumer,
    /// whose retry events belong to its consumer.
    pub retry_events: Option<u64>,
    /// The number of failed events; `None` as for [`retry_events`](ConsumerStatus::retry_events), and when
    /// failed events are not installed.
    pub failed_events: Option<u64>,
    /// Whether a due rotation waits for the consumer, alone or beside other causes.
    pub holds_up_rotation: bool,
}

impl ConsumerStatus {
    /// Returns whether the consumer is a subconsumer without a batch, which does not update `last_seen`.
    pub(super) fn waits_for_batch(&self) -> bool {
        self.cooperation == Some(Cooperation::Subconsumer) && self.batch.is_none()
    }
}

/// The role of a consumer among cooperative consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cooperation {
    /// The consumer whose position its subconsumers share.
    Consumer,
    /// A subconsumer, which processes batches of its consumer.
    Subconsumer,
}
