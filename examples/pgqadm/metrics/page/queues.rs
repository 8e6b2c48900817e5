//! The table of queues.

use std::time::Duration;

use maud::Markup;
use pgq::status::QueueStatus;

use super::address::{Address, of_database, of_queue};
use super::table::{Column, Row, Table};
use super::text::notes;
use super::value::Value;

/// A queue.
pub(super) struct QueueRow<'a> {
    pub(super) database: &'a str,
    pub(super) queue: &'a QueueStatus,
}

impl Row for QueueRow<'_> {
    fn names(&self) -> [&str; 3] {
        [&self.queue.name, self.database, ""]
    }

    fn is_alarm(&self) -> bool {
        !self.queue.rotation.held_up_by.is_empty()
    }
}

impl QueueRow<'_> {
    /// Returns the largest lag of the queue's consumers.
    fn lag(&self) -> Option<Duration> {
        self.queue.consumers.iter().filter_map(|consumer| consumer.lag).max()
    }

    /// Returns the number of failed events of the queue's consumers; `None` if this role may not read them.
    fn failed_events(&self) -> Option<u64> {
        self.queue.consumers.iter().filter_map(|consumer| consumer.failed_events).reduce(u64::saturating_add)
    }
}

/// Shows queues. `several` is whether they are of more than one database.
pub(super) fn table(rows: Vec<QueueRow<'_>>, address: &Address, several: bool) -> Markup {
    let mut columns = columns();
    columns.retain(|column| several || column.key != "database");
    Table { columns, address, parameters: ["sort", "page"], default: "queue" }.render(rows)
}

type QueueColumn<'a> = Column<QueueRow<'a>>;

fn columns<'a>() -> Vec<QueueColumn<'a>> {
    vec![
        QueueColumn::name("database", "Database", |row| row.database)
            .linked(|row| Some(of_database(row.database))),
        QueueColumn::name("queue", "Queue", |row| &row.queue.name)
            .linked(|row| Some(of_queue(row.database, &row.queue.name))),
        QueueColumn::value("rate", "Events/s", |row| Value::PerSecond(row.queue.events_per_second)),
        QueueColumn::value("ticker_lag", "Ticker lag", |row| Value::Duration(row.queue.ticker_lag)),
        QueueColumn::value("new", "New", |row| Value::Count(row.queue.new_events)),
        QueueColumn::value("consumers", "Consumers", |row| {
            Value::count(Some(row.queue.consumers.len() as u64))
        }),
        QueueColumn::value("lag", "Largest lag", |row| Value::Duration(row.lag())),
        QueueColumn::value("retry", "Retry", |row| Value::count(row.queue.retry_events)),
        QueueColumn::value("failed", "Failed", |row| Value::count(row.failed_events())),
        QueueColumn::value("rotated", "Rotated ago", |row| Value::Duration(Some(row.queue.rotation.age))),
        QueueColumn::other("state", "State", |row| state(row.queue)),
    ]
}

/// Shows the flags of a queue.
pub(super) fn state(queue: &QueueStatus) -> Markup {
    notes(&[
        (!queue.rotation.held_up_by.is_empty(), "rotation held up"),
        (queue.paused, "paused"),
        (queue.external, "external ticker"),
        (queue.disabled, "disabled"),
    ])
}
