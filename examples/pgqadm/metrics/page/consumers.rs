//! The table of consumers.

use maud::Markup;
use pgq::status::{ConsumerStatus, Cooperation, QueueStatus};

use super::super::history::History;
use super::address::{Address, of_database, of_failed_events, of_queue};
use super::chart::chart;
use super::table::{Column, Row, Table};
use super::text::notes;
use super::value::Value;

/// A consumer.
pub(super) struct ConsumerRow<'a> {
    pub(super) database: &'a str,
    pub(super) queue: &'a QueueStatus,
    pub(super) consumer: &'a ConsumerStatus,
    pub(super) history: &'a History,
}

/// The objects whose consumers a table shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Databases,
    Database,
    Queue,
}

impl Row for ConsumerRow<'_> {
    fn names(&self) -> [&str; 3] {
        [&self.consumer.name, &self.queue.name, self.database]
    }

    fn is_alarm(&self) -> bool {
        self.consumer.holds_up_rotation
    }
}

/// Shows consumers, those with the largest lag first unless the address has another order.
pub(super) fn table(rows: Vec<ConsumerRow<'_>>, address: &Address, scope: Scope) -> Markup {
    let mut columns = columns();
    columns.retain(|column| match column.key {
        "database" => scope == Scope::Databases,
        "queue" => scope != Scope::Queue,
        _ => true,
    });
    Table { columns, address, parameters: ["csort", "cpage"], default: "lag" }.render(rows)
}

type ConsumerColumn<'a> = Column<ConsumerRow<'a>>;

fn columns<'a>() -> Vec<ConsumerColumn<'a>> {
    vec![
        ConsumerColumn::name("database", "Database", |row| row.database)
            .linked(|row| Some(of_database(row.database))),
        ConsumerColumn::name("queue", "Queue", |row| &row.queue.name)
            .linked(|row| Some(of_queue(row.database, &row.queue.name))),
        ConsumerColumn::name("consumer", "Consumer", |row| &row.consumer.name),
        ConsumerColumn::value("lag", "Lag", |row| Value::Duration(row.consumer.lag)),
        ConsumerColumn::other("chart", "Last hour", lags),
        ConsumerColumn::value("seen", "Last seen", |row| Value::Duration(Some(row.consumer.last_seen))),
        ConsumerColumn::value("pending", "Pending", |row| Value::Count(row.consumer.pending_events)),
        ConsumerColumn::value("retry", "Retry", |row| Value::count(row.consumer.retry_events)),
        ConsumerColumn::value("failed", "Failed", |row| Value::count(row.consumer.failed_events))
            .linked(failed_events),
        ConsumerColumn::other("state", "State", state),
    ]
}

fn lags(row: &ConsumerRow<'_>) -> Markup {
    chart(row.history.lags(row.database, &row.queue.name, &row.consumer.name))
}

/// Returns the address of the failed events, if there are any.
fn failed_events(row: &ConsumerRow<'_>) -> Option<Address> {
    let count = row.consumer.failed_events.unwrap_or(0);
    (count > 0).then(|| of_failed_events(row.database, &row.queue.name, &row.consumer.name))
}

fn state(row: &ConsumerRow<'_>) -> Markup {
    let cooperation = row.consumer.cooperation;
    notes(&[
        (row.consumer.holds_up_rotation, "holds up rotation"),
        (row.consumer.batch.is_some(), "in batch"),
        (cooperation == Some(Cooperation::Consumer), "cooperative"),
        (cooperation == Some(Cooperation::Subconsumer), "subconsumer"),
    ])
}
