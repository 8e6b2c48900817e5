//! Delayed events, recurring events, and events that are inserted once, on both schemas.

mod delayed;
mod delayed_producers;
mod delayed_ticker;
mod installing;
mod old_snapshot;
mod once;
mod once_callers;
mod scheduled;
mod scheduled_rights;
mod scheduled_ticker;
mod schedules;

use pgq::schema::Kind;
use postgres::Client;

use crate::support::{Database, queues, templates};

const QUEUE: &str = "o'dd \"q\" ü";
const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

/// Returns a database with a queue.
fn database(kind: Kind) -> (Database, Client) {
    let (database, mut client) = templates::installed(kind, "later");
    queues::create(&mut client, QUEUE);
    (database, client)
}

/// Stores a delayed event that is due after some seconds; returns its id.
fn insert_in(client: &mut impl postgres::GenericClient, queue: &str, seconds: f64, data: &str) -> i64 {
    let insert = "select pgq.insert_event_at($1, now() + make_interval(secs => $2), 'type', $3)";
    client.query_one(insert, &[&queue, &seconds, &data]).expect("stored").get(0)
}

/// Inserts due events; returns their number.
fn deliver(client: &mut impl postgres::GenericClient) -> i32 {
    client.query_one("select pgq.maint_delayed_events()", &[]).expect("delivered").get(0)
}

fn count(client: &mut Client, queue: &str) -> u64 {
    pgq::admin::count_delayed_events(client, queue).expect("counted")
}

/// Returns the data of the events in a queue's tables.
fn data(client: &mut Client, queue: &str) -> Vec<String> {
    queues::events(client, queue).into_iter().map(|row| row[1].clone().expect("data")).collect()
}

/// Returns the message of the error of a statement.
fn refusal(client: &mut Client, statement: &str) -> String {
    let error = client.batch_execute(statement).expect_err(statement);
    error.as_db_error().expect("the server's").message().to_owned()
}
