//! Streams without atomic batches: another writer, a removed position, a server that is upgraded.

use super::{JOB, STREAM, Setup, Way};
use crate::support::nats::Release;
use crate::support::programs::Running;
use crate::support::wait_for;

#[test]
fn another_writer_delays_the_events_and_loses_none() {
    let setup = Setup::of(Way::OldServers);
    setup.register();
    setup.insert(0, 20_000);
    let moved = || setup.nats.count_of(STREAM, "orders.type");
    let mut mover = Running::start(&mut setup.mover(&[]));
    for round in 0..3 {
        let before = moved();
        wait_for("more events", || moved() > before || !mover.is_running());
        setup.nats.run(|context| async move {
            let stored = context.publish("orders.other", "foreign".into()).await.expect("sent");
            stored.await.expect("stored");
        });
        setup.insert(20_000 + round * 10, 10);
    }
    wait_for("all events", || moved() == 20_030 || !mover.is_running());
    mover.kill();
    setup.assert_moved_of("type");
    assert!(setup.log().contains("the stream was changed meanwhile, by another writer"), "{}", setup.log());
}

/// Stores a part of a large batch by way of a killed mover.
fn begin_batch(setup: &Setup) {
    setup.register();
    setup.insert(0, 20_000);
    let mut mover = Running::start(&mut setup.mover(&[]));
    wait_for("a part", || setup.nats.count(STREAM) > 1_000 || !mover.is_running());
    mover.kill();
    let count = setup.nats.count_of(STREAM, "orders.type");
    assert!((1..20_000).contains(&count), "the batch is begun and not complete: {count}");
}

fn allow_atomic_batches(setup: &Setup, is_allowed: bool) {
    setup.nats.edit(STREAM, |config| config.allow_atomic_publish = is_allowed);
}

#[test]
fn an_upgraded_server_continues_within_the_batch() {
    for enables in [false, true] {
        let mut setup = Setup::of(Way::OldServers);
        begin_batch(&setup);
        setup.nats.replace_by(Release::Current);
        if enables {
            allow_atomic_batches(&setup, true);
        }
        let before = setup.log().len();
        setup.drain();
        setup.assert_moved();
        let log = setup.log();
        let last = &log[before..];
        assert_eq!(last.contains("has no atomic batches"), !enables, "{log}");
        assert!(last.contains("were applied before, continuing behind them"), "{log}");
    }
}

/// A stream of the mover's own has atomic batches for this case.
#[test]
fn another_writer_to_a_stream_with_atomic_batches_stops_the_mover_once() {
    let setup = Setup::create();
    begin_batch(&setup);
    let write = || {
        setup.nats.run(|context| async move {
            let stored = context.publish("orders.other", "foreign".into()).await.expect("sent");
            stored.await.expect("stored");
        });
    };
    write();
    let mut mover = Running::start(&mut setup.mover(&[]));
    for round in 0..50 {
        setup.insert(20_000 + round * 10, 10);
        write();
    }
    let moved = || setup.nats.count_of(STREAM, "orders.type");
    wait_for("all events", || moved() == 20_500 || !mover.is_running());
    mover.kill();
    setup.assert_moved_of("type");
    assert!(setup.log().matches(" ERROR ").count() <= 1, "{}", setup.log());
}

#[test]
fn a_stream_that_loses_its_atomic_batches_continues_within_the_batch() {
    let setup = Setup::create();
    begin_batch(&setup);
    allow_atomic_batches(&setup, false);
    setup.drain();
    setup.assert_moved();
}

#[test]
fn a_position_that_the_stream_has_removed_is_lost() {
    let setup = Setup::of(Way::OldServers);
    begin_batch(&setup);
    let before = setup.nats.count_of(STREAM, "orders.type");
    setup.nats.run(|context| async move {
        let stream = context.get_stream(STREAM).await.expect("there");
        stream.purge().filter(format!("pgq_position.{STREAM}.{JOB}")).await.expect("purged");
    });
    let error = setup.failure();
    assert!(error.contains("was created anew or has removed the message; --reset"), "{error}");
    assert_eq!(setup.nats.count_of(STREAM, "orders.type"), before);
}
