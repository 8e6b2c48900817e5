//! Snapshots: the status of a database at one time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use pgq::schema::Kind;
use pgq::status::{ConsumerStatus, QueueStatus, Status};

/// The state of all queues at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The database, the versions of PostgreSQL and PgQ, and the kind of the schema.
    pub(crate) origin: String,
    pub(crate) time: DateTime<Utc>,
    pub(crate) queues: Vec<QueueStatus>,
    /// Inconsistencies and locks of unentitled roles, a line each.
    pub(crate) problems: Vec<String>,
}

impl From<Status> for Snapshot {
    fn from(status: Status) -> Snapshot {
        let kind = match status.schema {
            Some(Kind::Own) => " (own schema)",
            Some(Kind::Extension) => " (extension)",
            None => "",
        };
        let Status { database, server_version, pgq_version, .. } = &status;
        let origin = format!("{database}: PostgreSQL {server_version}, PgQ {pgq_version}{kind}");
        let problems = status.problems();
        Snapshot { origin, time: status.time, queues: status.queues, problems }
    }
}

/// The name of a queue, or of one of its consumers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) queue: String,
    pub(crate) consumer: Option<String>,
}

impl Id {
    pub(crate) fn queue(queue: &QueueStatus) -> Id {
        Id { queue: queue.name.clone(), consumer: None }
    }

    pub(crate) fn consumer(queue: &QueueStatus, consumer: &ConsumerStatus) -> Id {
        Id { queue: queue.name.clone(), consumer: Some(consumer.name.clone()) }
    }
}

/// A measurement of a queue or a consumer: position and lag.
pub(crate) struct Measurement {
    pub(crate) id: Id,
    /// The id of the last inserted event of a queue, or of the last processed event of a consumer.
    pub(crate) position: Option<i64>,
    pub(crate) lag: Option<Duration>,
}

impl Snapshot {
    /// Returns the measurements of all queues and consumers.
    pub(crate) fn measurements(&self) -> impl Iterator<Item = Measurement> {
        self.queues.iter().flat_map(|queue| {
            let inserted = queue.last_tick_event.zip(queue.new_events).map(|(ticked, new)| ticked + new);
            let own = Measurement { id: Id::queue(queue), position: inserted, lag: queue.ticker_lag };
            let of_consumer = move |consumer: &ConsumerStatus| Measurement {
                id: Id::consumer(queue, consumer),
                position: consumer.last_tick_event,
                lag: consumer.lag,
            };
            std::iter::once(own).chain(queue.consumers.iter().map(of_consumer))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{consumer, queue, snapshot};

    /// Queues and consumers are read by two statements, and a tick may fall between them.
    #[test]
    fn positions_are_consistent() {
        let mut ticked = queue("q", 100);
        ticked.new_events = Some(50);
        ticked.consumers = vec![consumer("c", 0)];
        ticked.consumers[0].last_tick_event = Some(70);
        ticked.consumers[0].pending_events = Some(80);
        let snapshot = snapshot(0, vec![ticked]);
        let positions: Vec<_> = snapshot.measurements().map(|measurement| measurement.position).collect();
        assert_eq!(positions, [Some(150), Some(70)]);
    }
}
