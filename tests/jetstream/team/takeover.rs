//! A subconsumer takes over the batch of another one.

use nix::sys::signal::Signal;

use super::{
    assert_each_once, by_type, insert_batch, is_done, make_silent, open_batches, ranges, records,
    start_within_batch, team, wait_until_done,
};
use crate::jetstream::STREAM;
use crate::support::{amount, wait_for};

/// The events of a batch that takes a subconsumer some time.
const LARGE: i64 = 20_000;

#[test]
fn a_batch_of_a_killed_subconsumer_is_continued_by_another_one() {
    let (setup, [a, b]) = team(["a", "b"]);
    insert_batch(&setup, 0, LARGE);
    start_within_batch(&setup, &a).kill();
    assert_eq!(open_batches(&mut setup.client()), 1);
    assert!(setup.nats.count(STREAM) + 2_000 < LARGE as u64, "the batch was too short");
    make_silent(&setup);
    let running = b.start();
    wait_until_done(&setup);
    drop(running);
    assert!(b.log().contains("events were applied before, continuing behind them"), "{}", b.log());
    assert_each_once(&setup);
    assert!(by_type(&setup)["b0"].is_sorted());
}

#[test]
fn a_subconsumer_that_wakes_up_after_its_batch_was_closed_doubles_nothing() {
    let (setup, [a, b]) = team(["a", "b"]);
    for round in 0..amount::pick(2, 10) {
        let before = setup.nats.count(STREAM);
        insert_batch(&setup, round, LARGE);
        let mut frozen = start_within_batch(&setup, &a);
        frozen.signal(Signal::SIGSTOP);
        assert!(setup.nats.count(STREAM) + 2_000 < before + LARGE as u64, "the batch was too short");
        make_silent(&setup);
        let running = b.start();
        wait_until_done(&setup);
        assert_each_once(&setup);
        frozen.signal(Signal::SIGCONT);
        let taken = "another subconsumer has taken the batch over or finished it";
        wait_for("the error", || a.log().matches(taken).count() == round as usize + 1);
        // Both continue.
        for number in 0..4 {
            insert_batch(&setup, 1_000 + round * 10 + number, 10);
        }
        wait_until_done(&setup);
        assert!(frozen.is_running());
        drop((running, frozen));
        assert_each_once(&setup);
    }
    assert!(by_type(&setup).values().all(|ids| ids.is_sorted()));
    assert_eq!(ranges(&setup)["completed"].as_array().map(Vec::len), Some(1));
}

/// The batch is taken over before the frozen subconsumer has stored anything of it.
#[test]
fn a_subconsumer_that_wakes_up_with_a_batch_that_it_has_not_begun_applies_nothing() {
    let (mut setup, [a, b]) = team(["a", "b"]);
    insert_batch(&setup, 0, 10);
    // The frozen server of the stream makes the subconsumer wait with its open batch.
    let frozen = a.start();
    wait_for("the first batch", || is_done(&mut setup.client()) && records(&setup).is_empty());
    setup.nats.signal_node(0, Signal::SIGSTOP);
    insert_batch(&setup, 1, 10);
    wait_for("an open batch", || open_batches(&mut setup.client()) == 1);
    frozen.signal(Signal::SIGSTOP);
    setup.nats.signal_node(0, Signal::SIGCONT);
    make_silent(&setup);
    let running = b.start();
    wait_until_done(&setup);
    frozen.signal(Signal::SIGCONT);
    insert_batch(&setup, 2, 10);
    wait_until_done(&setup);
    assert_each_once(&setup);
    drop((running, frozen));
    setup.nats.stop();
}

/// The events return one by one, since the subconsumer was unregistered by SQL.
#[test]
fn a_batch_that_was_unregistered_before_it_is_begun_is_not_applied() {
    let (setup, [a]) = team(["a"]);
    insert_batch(&setup, 0, 10);
    let running = a.start();
    wait_until_done(&setup);
    setup.nats.signal_node(0, Signal::SIGSTOP);
    insert_batch(&setup, 1, 10);
    let mut client = setup.client();
    wait_for("an open batch", || open_batches(&mut client) == 1);
    let unregister = "select pgq_coop.unregister_subconsumer('orders', 'orders_to_nats', 'a', 1)";
    client.execute(unregister, &[]).expect("unregistered");
    setup.nats.signal_node(0, Signal::SIGCONT);
    // On a busy machine, the mover's request to the frozen server fails first.
    let errors = [
        "the batch is no longer this subconsumer's",
        "another subconsumer has taken the batch over or finished it",
    ];
    wait_for("the error", || errors.iter().any(|error| a.log().contains(error)));
    wait_until_done(&setup);
    assert_eq!(by_type(&setup).len(), 1);
    client.execute("select pgq.maint_retry_events()", &[]).expect("returned");
    insert_batch(&setup, 2, 10);
    wait_until_done(&setup);
    drop(running);
    for (batch, ids) in by_type(&setup) {
        assert_eq!(ids.len(), 10, "{batch}");
    }
    assert_eq!(setup.nats.events(STREAM).len(), 30);
}
