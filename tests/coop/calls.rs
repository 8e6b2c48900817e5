//! One call after the other.

use postgres::Client;

use super::*;

#[test]
fn subconsumers_take_turns_and_each_has_a_batch_of_its_own() {
    let (_database, mut client) = database(&["a", "b", "c"]);
    for first in [1, 3, 5] {
        fill(&mut client, first, 2);
    }
    let [a, b, c] = ["a", "b", "c"].map(|name| next_batch(&mut client, name).expect("a batch"));
    assert_eq!(events(&mut client, a), [1, 2]);
    assert_eq!(events(&mut client, b), [3, 4]);
    assert_eq!(events(&mut client, c), [5, 6]);
    assert_eq!(next_batch(&mut client, "b"), Some(b), "a batch is redelivered until it is finished");
    assert_eq!(finish(&mut client, b), 1);
    assert_eq!(next_batch(&mut client, "b"), None);
    fill(&mut client, 7, 1);
    let next = next_batch(&mut client, "b").expect("a batch");
    assert_eq!(events(&mut client, next), [7]);
    for batch in [next, a, c] {
        assert_eq!(finish(&mut client, batch), 1);
        assert_eq!(finish(&mut client, batch), 0);
    }
}

#[test]
fn positions_only_go_forward() {
    let (_database, mut client) = database(&["a", "b"]);
    let start = row(&mut client, "consumer").0.expect("a position");
    let first = fill(&mut client, 1, 1);
    let second = fill(&mut client, 2, 1);
    assert_eq!(row(&mut client, "consumer.a"), (None, None, None));
    let a = next_batch(&mut client, "a").expect("a batch");
    assert_eq!(row(&mut client, "consumer"), (Some(first), None, None));
    assert_eq!(row(&mut client, "consumer.a"), (Some(start), Some(a), Some(first)));
    let b = next_batch(&mut client, "b").expect("a batch");
    assert_eq!(row(&mut client, "consumer.b"), (Some(first), Some(b), Some(second)));
    finish(&mut client, b);
    assert_eq!(row(&mut client, "consumer"), (Some(second), None, None));
    finish(&mut client, a);
    assert_eq!(row(&mut client, "consumer"), (Some(second), None, None));
    assert_eq!(row(&mut client, "consumer.a"), (None, None, None));
    assert_eq!(next_batch(&mut client, "a"), None);
    assert_eq!(row(&mut client, "consumer.a"), (None, None, None));
}

#[test]
fn a_batch_is_described_as_pgq_describes_it() {
    let (_database, mut client) = database(&["a", "b"]);
    pgq::admin::register_consumer(&mut client, QUEUE, "plain").expect("registered");
    let columns = "cur_tick_id, prev_tick_id, cur_tick_time::text, prev_tick_time::text, \
                   cur_tick_event_seq, prev_tick_event_seq, batch_id is not null";
    for call in [
        "pgq_coop.next_batch_custom('queue', 'consumer', 'a', null, null, null)",
        "pgq_coop.next_batch_custom('queue', 'consumer', 'b', null, null, null, '1 hour')",
    ] {
        let mut same = |call: &str| {
            let select = format!("select ({columns})::text from {call}");
            client.query_one(&select, &[]).expect("answers").get::<_, String>(0)
        };
        let plain = "pgq.next_batch_custom('queue', 'plain', null, null, null)";
        assert_eq!(same(call), same(plain), "no batch: {call}");
        fill(&mut client, 1, 5);
        let mut same = |call: &str| {
            let select = format!("select ({columns})::text from {call}");
            client.query_one(&select, &[]).expect("answers").get::<_, String>(0)
        };
        let batch = same(call);
        assert_eq!(batch, same(plain), "{call}");
        assert_eq!(batch, same(call), "again: {call}");
        let finish = "select pgq.finish_batch(sub_batch) from pgq.subscription \
                      join pgq.consumer on co_id = sub_consumer where co_name = 'plain'";
        client.query_one(finish, &[]).expect("finished");
    }
}

#[test]
fn the_least_sizes_are_those_of_pgq() {
    let (_database, mut client) = database(&["a"]);
    let ask = |client: &mut Client, sizes: &str| -> Option<i64> {
        let select =
            format!("select batch_id from pgq_coop.next_batch_custom('queue', 'consumer', 'a', {sizes})");
        client.query_one(&select, &[]).expect("answers").get(0)
    };
    fill(&mut client, 1, 2);
    fill(&mut client, 3, 2);
    assert_eq!(ask(&mut client, "null, 100, null"), None);
    assert_eq!(ask(&mut client, "'1 hour', null, null"), None);
    assert_eq!(ask(&mut client, "null, null, '1 hour'"), None);
    assert_eq!(row(&mut client, "consumer.a"), (None, None, None));
    let batch = ask(&mut client, "null, 3, null").expect("four events are enough");
    assert_eq!(events(&mut client, batch), [1, 2, 3, 4]);
}

#[test]
fn a_dead_subconsumers_batch_is_taken_over_once() {
    let (_database, mut client) = database(&["a", "b", "c"]);
    fill(&mut client, 1, 3);
    let batch = next_batch(&mut client, "a").expect("a batch");
    let before = row(&mut client, "consumer.a");
    assert_eq!(next_batch(&mut client, "b"), None, "without an interval nobody is dead");
    assert_eq!(take_over(&mut client, "b", "1 hour"), None, "it was alive a moment ago");
    assert_eq!(take_over(&mut client, "b", "0"), Some(batch));
    assert_eq!(row(&mut client, "consumer.b"), before);
    assert_eq!(events(&mut client, batch), [1, 2, 3]);
    assert_eq!(take_over(&mut client, "c", "1 hour"), None, "the new owner is alive");
    assert_eq!(next_batch(&mut client, "a"), None, "the dead one has lost it");
    assert_eq!(finish(&mut client, batch), 1);
    assert_eq!(take_over(&mut client, "c", "0"), None);
}

#[test]
fn the_oldest_batch_of_a_dead_subconsumer_is_delivered_before_new_ones() {
    let (_database, mut client) = database(&["a", "b", "c"]);
    let batches: Vec<i64> = ["a", "b"]
        .map(|name| {
            fill(&mut client, 1, 1);
            next_batch(&mut client, name).expect("a batch")
        })
        .to_vec();
    fill(&mut client, 3, 1);
    for expected in batches {
        assert_eq!(take_over(&mut client, "c", "0"), Some(expected));
        assert_eq!(finish(&mut client, expected), 1);
    }
    let new = take_over(&mut client, "c", "0").expect("a batch");
    assert_eq!(events(&mut client, new), [3]);
}

#[test]
fn a_call_is_a_sign_of_life() {
    let (_database, mut client) = database(&["a", "b"]);
    fill(&mut client, 1, 1);
    let batch = next_batch(&mut client, "a");
    client
        .execute("update pgq.subscription set sub_active = now() - interval '1 day'", &[])
        .expect("updated");
    assert_eq!(next_batch(&mut client, "a"), batch);
    assert_eq!(take_over(&mut client, "b", "1 hour"), None);
    client
        .execute("update pgq.subscription set sub_active = now() - interval '1 day'", &[])
        .expect("updated");
    assert_eq!(take_over(&mut client, "b", "1 hour"), batch);
}

#[test]
fn retried_events_are_redelivered_to_any_subconsumer() {
    let (_database, mut client) = database(&["a", "b"]);
    pgq::admin::register_consumer(&mut client, QUEUE, "plain").expect("registered");
    fill(&mut client, 1, 3);
    let batch = next_batch(&mut client, "a").expect("a batch");
    client.query_one("select pgq.event_retry($1, 2, 0)", &[&batch]).expect("tagged");
    client.query_one("select pgq.event_failed($1, 3, 'why')", &[&batch]).expect("tagged");
    finish(&mut client, batch);
    assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), 1);
    queues::tick(&mut client, QUEUE);
    let batch = next_batch(&mut client, "b").expect("a batch");
    assert_eq!(events(&mut client, batch), [2]);
    for name in ["consumer", "consumer.a", "consumer.b"] {
        assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, name).expect("counted"), 1);
    }
}

#[test]
fn a_consumer_becomes_cooperative_with_its_open_batch() {
    let (_database, mut client) = database(&[]);
    pgq::admin::register_consumer(&mut client, QUEUE, CONSUMER).expect("registered");
    let tick = fill(&mut client, 1, 2);
    let batch: i64 =
        client.query_one("select pgq.next_batch('queue', 'consumer')", &[]).expect("a batch").get(0);
    assert_eq!(register(&mut client, "a"), 1);
    assert_eq!(next_batch(&mut client, "a"), Some(batch));
    assert_eq!(row(&mut client, "consumer"), (Some(tick), None, None));
    assert_eq!(events(&mut client, batch), [1, 2]);
}

#[test]
fn a_batch_that_pgq_finished_leaves_no_position_behind() {
    let (_database, mut client) = database(&["a"]);
    fill(&mut client, 1, 1);
    let batch = next_batch(&mut client, "a").expect("a batch");
    client.query_one("select pgq.finish_batch($1)", &[&batch]).expect("finished");
    assert_eq!(next_batch(&mut client, "a"), None);
    assert_eq!(row(&mut client, "consumer.a"), (None, None, None));
}

#[test]
fn a_plain_consumers_batch_is_finished_as_pgq_does() {
    let (_database, mut client) = database(&["a"]);
    pgq::admin::register_consumer(&mut client, QUEUE, "plain").expect("registered");
    let tick = fill(&mut client, 1, 1);
    let batch: i64 =
        client.query_one("select pgq.next_batch('queue', 'plain')", &[]).expect("a batch").get(0);
    assert_eq!(finish(&mut client, batch), 1);
    assert_eq!(row(&mut client, "plain"), (Some(tick), None, None));
}
