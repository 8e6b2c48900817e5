//! Consumers that stand by.

use std::collections::BTreeSet;

use pgq::ErrorKind;
use pgq::aio::Worker;
use postgres::Client;

use super::{CONSUMER, KINDS, QUEUE, database, insert, settings};

/// Returns the processes of the consumer's connections.
fn backends(client: &mut Client) -> BTreeSet<i32> {
    let query =
        "select pid from pg_stat_activity where datname = current_database() and application_name = $1";
    client.query(query, &[&CONSUMER]).expect("readable").iter().map(|row| row.get(0)).collect()
}

#[test]
fn with_autocommit_the_attempts_to_take_the_lock_use_one_connection() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, 1);
    let lock = "select pg_advisory_xact_lock(hashtextextended(format('pgq %L %L', $1::text, $2::text), 0))";
    let mut other = database.client();
    let mut holder = other.transaction().expect("begun");
    holder.execute(lock, &[&QUEUE, &CONSUMER]).expect("locked");
    let mut settings = settings();
    settings.autocommit = true;
    let runtime = super::runtime();
    let worker = Worker::with_settings(&database.conninfo(), settings);
    let mut batches = runtime.block_on(worker.batches()).expect("registered");
    let mut attempt = || {
        let busy = runtime.block_on(batches.try_next()).err().expect("busy");
        assert_eq!(busy.kind(), ErrorKind::Busy, "{busy:?}");
        backends(&mut client)
    };
    let first = attempt();
    assert_eq!(first.len(), 2);
    assert_eq!(attempt(), first);
    holder.rollback().expect("released");
    let batch = runtime.block_on(batches.try_next()).expect("opened").expect("a batch");
    assert_eq!(backends(&mut client), first);
    runtime.block_on(batch.commit()).expect("committed");
}
