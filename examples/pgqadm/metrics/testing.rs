//! Readings for tests.

use std::time::Duration;

use pgq::status::{ConsumerStatus, QueueStatus, Status};

use super::reader::{Failure, Result};
use super::reading::{DatabaseReading, Reading};

/// Makes a reading of databases.
pub(super) fn reading(databases: Vec<(&str, Result<Status>)>) -> Reading {
    let database = |(name, status): (&str, Result<Status>)| DatabaseReading { name: name.to_owned(), status };
    Reading::new(databases.into_iter().map(database).collect())
}

/// Makes the status of a database with queues.
pub(super) fn status(queues: Vec<QueueStatus>) -> Status {
    let mut status = Status::default();
    status.queues = queues;
    status
}

/// Makes the result of a database that is away.
pub(super) fn away(text: &str) -> Result<Status> {
    Err(Failure { text: text.to_owned(), is_missing: false })
}

pub(super) fn queue(name: &str, consumers: Vec<ConsumerStatus>) -> QueueStatus {
    let mut queue = QueueStatus::default();
    (queue.name, queue.consumers) = (name.to_owned(), consumers);
    queue
}

/// Makes a consumer with a lag in seconds.
pub(super) fn consumer(name: &str, lag: u64) -> ConsumerStatus {
    let mut consumer = ConsumerStatus::default();
    (consumer.name, consumer.lag) = (name.to_owned(), Some(Duration::from_secs(lag)));
    consumer
}
