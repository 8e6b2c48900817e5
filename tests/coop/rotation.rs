//! Rotation and subconsumers.

use postgres::Client;

use super::*;

/// Rotates a queue's tables as maintenance does, in as many transactions, with ticks between.
fn rotate(client: &mut Client) {
    for operation in ["pgq.maint_rotate_tables_step1('queue')", "pgq.maint_rotate_tables_step2()"] {
        client.query_one(&format!("select {operation}"), &[]).expect("answers");
        queues::tick(client, QUEUE);
    }
}

fn without_pause(client: &mut Client) {
    client.query_one("select pgq.set_queue_config('queue', 'rotation_period', '0')", &[]).expect("set");
}

#[test]
fn no_table_is_emptied_while_a_subconsumer_needs_it() {
    let (_database, mut client) = database(&["a", "b"]);
    without_pause(&mut client);
    fill(&mut client, 1, 3);
    let held = next_batch(&mut client, "a").expect("a batch");
    for _ in 0..6 {
        rotate(&mut client);
        while let Some(batch) = next_batch(&mut client, "b") {
            assert_eq!(finish(&mut client, batch), 1);
        }
        assert_eq!(events(&mut client, held), [1, 2, 3]);
    }
    assert_eq!(finish(&mut client, held), 1);
    for _ in 0..6 {
        rotate(&mut client);
        while let Some(batch) = next_batch(&mut client, "b") {
            assert_eq!(finish(&mut client, batch), 1);
        }
    }
    assert_eq!(queues::count(&mut client, QUEUE), 0, "subconsumers without batches hold up nothing");
}

#[test]
fn a_batch_that_was_taken_over_still_holds_its_table() {
    let (_database, mut client) = database(&["a", "b"]);
    without_pause(&mut client);
    fill(&mut client, 1, 3);
    let held = next_batch(&mut client, "a");
    assert_eq!(take_over(&mut client, "b", "0"), held);
    for _ in 0..6 {
        rotate(&mut client);
        while let Some(batch) = next_batch(&mut client, "a") {
            assert_eq!(finish(&mut client, batch), 1);
        }
    }
    assert_eq!(events(&mut client, held.expect("a batch")), [1, 2, 3]);
}
