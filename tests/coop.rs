//! Cooperative consumers: subconsumers that share the position of one consumer.

mod as_extension;
mod calls;
mod heartbeats;
mod python;
mod registration;
mod rotation;
mod together;

use pgq::schema;
use postgres::Client;

use crate::support::{Database, queues};

const QUEUE: &str = "queue";
const CONSUMER: &str = "consumer";

/// Returns a database with a queue and a consumer with subconsumers.
fn database(subconsumers: &[&str]) -> (Database, Client) {
    let (database, mut client) = queues::database("coop", QUEUE);
    for subconsumer in subconsumers {
        assert_eq!(register(&mut client, subconsumer), 1);
    }
    (database, client)
}

fn register(client: &mut Client, subconsumer: &str) -> i32 {
    client
        .query_one("select pgq_coop.register_subconsumer($1, $2, $3)", &[&QUEUE, &CONSUMER, &subconsumer])
        .expect("registered")
        .get(0)
}

/// Inserts `count` events and makes a tick.
fn fill(client: &mut Client, from: i64, count: i64) -> i64 {
    queues::insert(client, QUEUE, from, count);
    queues::tick(client, QUEUE)
}

fn next_batch(client: &mut Client, subconsumer: &str) -> Option<i64> {
    client
        .query_one("select pgq_coop.next_batch($1, $2, $3)", &[&QUEUE, &CONSUMER, &subconsumer])
        .expect("answers")
        .get(0)
}

/// Requests a batch with a dead-subconsumer timeout of zero.
fn take_over(client: &mut Client, subconsumer: &str, dead_interval: &str) -> Option<i64> {
    client
        .query_one(
            "select pgq_coop.next_batch($1, $2, $3, $4::text::interval)",
            &[&QUEUE, &CONSUMER, &subconsumer, &dead_interval],
        )
        .expect("answers")
        .get(0)
}

fn finish(client: &mut Client, batch: i64) -> i32 {
    client.query_one("select pgq_coop.finish_batch($1)", &[&batch]).expect("answers").get(0)
}

/// Returns the ids of a batch's events.
fn events(client: &mut Client, batch: i64) -> Vec<i64> {
    let rows = client.query("select ev_id from pgq.get_batch_events($1)", &[&batch]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

/// Returns the last tick, the batch and the next tick of a row of `pgq.subscription`.
fn row(client: &mut Client, name: &str) -> (Option<i64>, Option<i64>, Option<i64>) {
    let select = "select sub_last_tick, sub_batch, sub_next_tick \
                  from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name = $1";
    let row = client.query_one(select, &[&name]).expect("registered");
    (row.get(0), row.get(1), row.get(2))
}
