//! Snapshots for tests.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use pgq::status::{ConsumerStatus, QueueStatus};

use super::snapshot::Snapshot;

/// Makes a snapshot of a time in seconds.
pub(crate) fn snapshot(second: i64, queues: Vec<QueueStatus>) -> Snapshot {
    let time = DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
    let origin = "shop: PostgreSQL 15.8, PgQ 3.5 (own schema)".to_owned();
    Snapshot { origin, time, queues, problems: Vec::new() }
}

/// Makes a queue whose last tick has the event id `events`.
pub(crate) fn queue(name: &str, events: i64) -> QueueStatus {
    let mut queue = QueueStatus::default();
    queue.name = name.to_owned();
    queue.last_tick_event = Some(events);
    queue.new_events = Some(0);
    queue.rotation.tables = 3;
    queue.rotation.period = Duration::from_secs(7200);
    queue
}

/// Makes a consumer with a lag in seconds.
pub(crate) fn consumer(name: &str, lag: u64) -> ConsumerStatus {
    let mut consumer = ConsumerStatus::default();
    consumer.name = name.to_owned();
    consumer.lag = Some(Duration::from_secs(lag));
    consumer.pending_events = Some(0);
    consumer
}
