//! The record of applied batches and events under an old snapshot, with concurrent sessions, and from an earlier release.

mod old_snapshot;
mod once;
mod uniqueness;
mod upgrade;

use postgres::Client;

use crate::support::Database;

fn installed(name: &str) -> (Database, Client) {
    let database = Database::create(name);
    let mut client = database.client();
    pgq_ext::schema::install(&mut client).expect("installs");
    (database, client)
}

/// Returns a session whose snapshot is older than what other sessions do next.
fn old_snapshot(database: &Database) -> Client {
    let mut holder = database.client();
    holder
        .batch_execute("begin isolation level repeatable read; select from pgq_ext.completed_batch")
        .expect("a snapshot");
    holder
}

/// Returns a value as text.
fn text(client: &mut Client, value: &str) -> String {
    let row = client.query_one(&format!("select ({value})::text"), &[]);
    row.unwrap_or_else(|error| panic!("{value}: {error:?}")).get(0)
}

/// The tables whose rows have no primary key, and the columns of the key.
const TABLES: [(&str, &str); 6] = [
    ("completed_tick", "consumer_id, subconsumer_id"),
    ("completed_batch", "consumer_id, subconsumer_id"),
    ("checkpoint", "consumer_id, subconsumer_id, kind"),
    ("partial_batch", "consumer_id, subconsumer_id"),
    ("completed_range", "consumer_id"),
    ("claimed_batch", "queue_name, consumer_id"),
];

/// Fails when a table has two rows of one key.
fn assert_unique(client: &mut Client) {
    for (table, key) in TABLES {
        let twice = format!("select count(*) from pgq_ext.{table} group by {key} having count(*) > 1");
        assert!(client.query(&twice, &[]).expect("readable").is_empty(), "two rows of one key in {table}");
    }
}
