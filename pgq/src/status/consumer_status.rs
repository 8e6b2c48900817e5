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
    /// Its part among cooperative consumers; `None` for one that works alone.
    pub cooperation: Option<Cooperation>,
    /// The age of the tick that it has processed, which is how far it is behind; `None` for a subconsumer
    /// without a batch.
    #[serde(serialize_with = "time::in_seconds_opt")]
    pub lag: Option<Duration>,
    /// How long ago it last opened or finished a batch.
    #[serde(serialize_with = "time::in_seconds")]
    pub last_seen: Duration,
    /// The tick that it has processed.
    pub last_tick: Option<i64>,
    /// The last event id that was taken before that tick.
    pub last_tick_event: Option<i64>,
    /// The batch that it has open.
    pub batch: Option<i64>,
    /// The tick at which that batch ends.
    pub next_tick: Option<i64>,
    /// How many event ids there are between its tick and the queue's last one, which is about how many events
    /// it has to process.
    pub pending_events: Option<i64>,
    /// How many events come back to it later; `None` when this role may not see that, and for a subconsumer,
    /// whose events are its consumer's.
    pub retry_events: Option<u64>,
    /// How many events it has given up; `None` as for [`retry_events`](ConsumerStatus::retry_events), and when
    /// failed events are not installed.
    pub failed_events: Option<u64>,
    /// Whether a rotation is due and waits for it, alone or beside others.
    pub holds_up_rotation: bool,
}

impl ConsumerStatus {
    /// Returns whether it is a subconsumer without a batch, of which no sign of life is to be expected.
    pub(super) fn waits_for_batch(&self) -> bool {
        self.cooperation == Some(Cooperation::Subconsumer) && self.batch.is_none()
    }
}

/// The part of a consumer among cooperative consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cooperation {
    /// Has the position that the subconsumers share.
    Consumer,
    /// Takes batches of its consumer.
    Subconsumer,
}
