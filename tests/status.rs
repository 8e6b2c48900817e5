//! The status of queues as text, as JSON and as metrics.

mod alerts;
mod bytes;
mod columns;
mod dashboard;
mod many_clients;
mod metrics;
mod old_snapshots;
mod pages;
mod programs;
mod rotation;
mod serving;
mod tickers;

use pgq::schema::Kind;
use pgq::status::{ConsumerStatus, QueueStatus, Status};
use postgres::Client;

use crate::support::{Database, queues, templates};

/// Returns an empty database with one kind of PgQ.
fn installed(kind: Kind) -> (Database, Client) {
    let (database, client) = templates::installed(kind, "status");
    (database, client)
}

fn read(client: &mut Client) -> Status {
    pgq::status::Status::read(client).expect("readable")
}

fn queue(client: &mut Client, name: &str) -> QueueStatus {
    let status = read(client).only(name).expect("the queue is there");
    status.queues.into_iter().next().expect("one queue")
}

fn consumer<'a>(queue: &'a QueueStatus, name: &str) -> &'a ConsumerStatus {
    queue.consumers.iter().find(|consumer| consumer.name == name).expect("registered")
}
