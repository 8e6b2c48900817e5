//! Rotation and subconsumers.

use postgres::Client;

use super::*;
use crate::support::wait_for;

/// A queue whose consumer finishes everything at once.
const CONTROL: &str = "control";

/// Returns a database whose queue and control queue hold three events and rotate whenever they may.
fn rotating() -> (Database, Client) {
    let (database, mut client) = database(&["a", "b"]);
    queues::create(&mut client, CONTROL);
    pgq::admin::register_consumer(&mut client, CONTROL, "plain").expect("registered");
    for queue in [QUEUE, CONTROL] {
        client
            .query_one("select pgq.set_queue_config($1, 'rotation_period', '0')", &[&queue])
            .expect("the setting is known");
        queues::insert(&mut client, queue, 1, 3);
        queues::tick(&mut client, queue);
    }
    (database, client)
}

/// Rotates both queues as maintenance does, in as many transactions, and ticks.
fn rotate(client: &mut Client) {
    for queue in [QUEUE, CONTROL] {
        client.query_one("select pgq.maint_rotate_tables_step1($1)", &[&queue]).expect("answers");
    }
    client.query_one("select pgq.maint_rotate_tables_step2()", &[]).expect("answers");
    for queue in [QUEUE, CONTROL] {
        queues::tick(client, queue);
    }
}

fn finish_all(client: &mut Client, subconsumer: &str) {
    while let Some(batch) = next_batch(client, subconsumer) {
        assert_eq!(finish(client, batch), 1);
    }
    let next = "select pgq.finish_batch(batch) \
                from pgq.next_batch('control', 'plain') batch where batch is not null";
    while client.query_opt(next, &[]).expect("answers").is_some() {}
}

/// Rotates until a queue's tables are empty, which takes several rotations; other tests' transactions on the
/// server can put them off.
fn rotate_until_empty(client: &mut Client, queue: &str, subconsumer: &str) {
    wait_for("rotation", || {
        rotate(client);
        finish_all(client, subconsumer);
        queues::count(client, queue) == 0
    });
}

#[test]
fn no_table_is_emptied_while_a_subconsumer_needs_it() {
    let (_database, mut client) = rotating();
    let held = next_batch(&mut client, "a").expect("a batch");
    for _ in 0..3 {
        rotate_until_empty(&mut client, CONTROL, "b");
        queues::insert(&mut client, CONTROL, 1, 3);
        assert_eq!(events(&mut client, held), [1, 2, 3]);
    }
    assert_eq!(finish(&mut client, held), 1);
    rotate_until_empty(&mut client, QUEUE, "b");
}

#[test]
fn a_batch_that_was_taken_over_still_holds_its_table() {
    let (_database, mut client) = rotating();
    let held = next_batch(&mut client, "a");
    assert_eq!(take_over(&mut client, "b", "0"), held);
    for _ in 0..3 {
        rotate_until_empty(&mut client, CONTROL, "a");
        queues::insert(&mut client, CONTROL, 1, 3);
        assert_eq!(events(&mut client, held.expect("a batch")), [1, 2, 3]);
    }
}
