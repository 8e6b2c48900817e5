//! Positions that no longer fit, and the change between one consumer and several subconsumers.

use super::{
    JOB, QUEUE, STREAM, Setup, Way, assert_each_once, insert_batch, member, ranges, records,
    start_within_batch, team, wait_until_done,
};
use nix::sys::signal::Signal;

use crate::jetstream::mover::Mover;
use crate::support::programs::succeed;
use crate::support::{queues, wait_for};

/// Checks that all subconsumers have lost their position, and that nothing is stored.
#[track_caller]
fn assert_lost(setup: &Setup, movers: &[&Mover], why: &str) {
    let before = setup.nats.events(STREAM).len();
    for mover in movers {
        let failure = mover.failure();
        let expected = format!("consumer `{JOB}` has lost its position: batch ");
        assert!(failure.contains(&expected) && failure.contains(why), "{failure}");
    }
    assert_eq!(setup.nats.events(STREAM).len(), before);
}

/// Makes the ticks those of another history, as after a restore of the source.
fn change_history(setup: &Setup) {
    let restored = "update pgq.tick set tick_time = tick_time - interval '1 hour'";
    setup.client().batch_execute(restored).expect("the owner may");
}

#[test]
fn a_restored_source_is_a_lost_position_for_all_until_a_reset() {
    let (setup, [a, b]) = team(["a", "b"]);
    insert_batch(&setup, 0, 10);
    a.drain();
    change_history(&setup);
    for number in 1..4 {
        insert_batch(&setup, number, 10);
    }
    assert_lost(&setup, &[&a, &b], "the sink has");
    succeed(&mut a.command(&["--reset"]));
    for mover in [&a, &b] {
        mover.drain();
    }
    assert_each_once(&setup);
}

#[test]
fn a_restored_source_within_a_batch_is_a_lost_position_for_all() {
    let (setup, [a, b]) = team(["a", "b"]);
    insert_batch(&setup, 0, 20_000);
    start_within_batch(&setup, &a).kill();
    change_history(&setup);
    insert_batch(&setup, 1, 10);
    assert_lost(&setup, &[&a, &b], "the sink has");
    assert!(!records(&setup).is_empty());
    succeed(&mut a.command(&["--reset"]));
    assert!(records(&setup).is_empty());
}

#[test]
fn batches_that_were_left_out_are_a_lost_position() {
    let (setup, [a, b]) = team(["a", "b"]);
    insert_batch(&setup, 0, 10);
    a.drain();
    insert_batch(&setup, 1, 10);
    let mut client = setup.client();
    let tick = queues::tick(&mut client, QUEUE);
    pgq::admin::register_consumer_at(&mut client, QUEUE, JOB, tick).expect("moved");
    insert_batch(&setup, 2, 10);
    assert_lost(&setup, &[&a], "the sink has batches up to tick");
    insert_batch(&setup, 3, 10);
    assert_lost(&setup, &[&b], "the sink has batches up to tick");
}

#[test]
fn batches_of_a_consumer_that_was_moved_back_are_only_finished() {
    let (setup, [a, b]) = team(["a", "b"]);
    let mut client = setup.client();
    let (start, _) = queues::position(&mut client, QUEUE, JOB);
    for number in 0..3 {
        insert_batch(&setup, number, 10);
        a.drain();
    }
    pgq::admin::register_consumer_at(&mut client, QUEUE, JOB, start).expect("moved back");
    insert_batch(&setup, 3, 10);
    b.drain();
    assert_each_once(&setup);
    assert!(b.log().contains("is within the applied range"), "{}", b.log());
}

#[test]
fn a_stream_without_ranges_is_a_lost_position() {
    let (setup, [a, b]) = team(["a", "b"]);
    insert_batch(&setup, 0, 10);
    a.drain();
    setup.nats.run(|context| async move { context.delete_stream(STREAM).await.expect("deleted") });
    insert_batch(&setup, 1, 10);
    for mover in [&a, &b] {
        let failure = mover.failure();
        assert!(failure.contains("was created anew or has removed the message; --reset"), "{failure}");
        insert_batch(&setup, 2, 10);
    }
    assert!(setup.nats.events(STREAM).is_empty());
}

#[test]
fn a_record_that_the_stream_has_lost_is_a_lost_position() {
    let (setup, [a, _]) = team(["a", "b"]);
    insert_batch(&setup, 0, 20_000);
    start_within_batch(&setup, &a).kill();
    setup.nats.run(|context| async move {
        let stream = context.get_stream(STREAM).await.expect("there");
        stream.purge().filter(format!("{}.*", super::POSITION)).await.expect("removed");
    });
    assert_lost(&setup, &[&a], "the sink has lost the batch's record");
}

#[test]
fn a_mover_becomes_subconsumers_and_these_become_a_mover() {
    for way in [Way::AtomicBatches, Way::OneByOne] {
        let setup = Setup::of(way);
        setup.register();
        insert_batch(&setup, 0, 1_500);
        setup.drain();
        let movers = [member(&setup, "a"), member(&setup, "b")];
        for (number, mover) in movers.iter().enumerate() {
            insert_batch(&setup, 1 + number as i64, 1_500);
            mover.drain();
        }
        assert_eq!(ranges(&setup)["completed"].as_array().map(Vec::len), Some(1));
        insert_batch(&setup, 3, 1_500);
        setup.drain();
        insert_batch(&setup, 4, 1_500);
        movers[0].drain();
        assert_each_once(&setup);
        for mover in &movers {
            assert!(!mover.log().contains(" WARN "), "{}", mover.log());
        }
    }
}

#[test]
fn subconsumers_continue_the_batch_of_a_mover_and_not_the_other_way_round() {
    for way in [Way::AtomicBatches, Way::OneByOne] {
        let setup = Setup::of(way);
        setup.register();
        insert_batch(&setup, 0, 20_000);
        start_within_batch(&setup, &setup.mover).kill();
        let a = member(&setup, "a");
        a.drain();
        assert!(a.log().contains("events were applied before, continuing behind them"), "{}", a.log());
        assert_each_once(&setup);
        insert_batch(&setup, 1, 20_000);
        start_within_batch(&setup, &a).kill();
        insert_batch(&setup, 2, 10);
        let failure = setup.failure();
        assert!(failure.contains("it is the position of subconsumers, with 1 open batches"), "{failure}");
        a.drain();
        assert_each_once(&setup);
    }
}

#[test]
fn a_mover_that_is_frozen_within_a_batch_doubles_nothing_when_a_subconsumer_has_the_batch() {
    for way in [Way::AtomicBatches, Way::OneByOne] {
        let setup = Setup::of(way);
        setup.register();
        insert_batch(&setup, 0, 20_000);
        let frozen = start_within_batch(&setup, &setup.mover);
        frozen.signal(Signal::SIGSTOP);
        let a = member(&setup, "a");
        let running = a.start();
        wait_until_done(&setup);
        frozen.signal(Signal::SIGCONT);
        wait_for("an error of the mover", || setup.log().contains(" ERROR "));
        insert_batch(&setup, 1, 10);
        wait_for("the next batch", || setup.nats.events(STREAM).len() >= 20_010);
        assert_each_once(&setup);
        drop((running, frozen));
    }
}
