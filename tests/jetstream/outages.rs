//! Restarts of the source, and a mover that is stopped for long.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::Config;
use nix::sys::signal::Signal;

use super::crash::{pause, survive_rounds};
use super::mover::Source;
use super::{STREAM, Setup};
use crate::support::nats::NatsServer;
use crate::support::programs::Running;
use crate::support::{amount, wait_for};

#[test]
fn a_source_that_restarts_at_random_loses_and_doubles_nothing() {
    let mut setup = Setup::between(Source::own(), NatsServer::start());
    survive_rounds(&mut setup, 1, Duration::ZERO, |setup, mover, random| {
        for _ in 0..amount::pick(6, 60) {
            setup.wait_for_a_batch(mover);
            pause(random, 300);
            setup.source.server().restart_immediate();
        }
        setup.wait_for_a_batch(mover);
    });
}

#[test]
fn a_source_that_restarts_within_a_batch_loses_and_doubles_nothing() {
    let setup = Setup::between(Source::own(), NatsServer::start());
    setup.register();
    let mut mover = Running::start(&mut setup.mover(&[]));
    for round in 0..amount::pick(3, 20) {
        let before = setup.nats.count(STREAM);
        setup.insert(round * 20_000, 20_000);
        wait_for("a part", || setup.nats.count(STREAM) > before);
        setup.source.server().restart_immediate();
        setup.wait_for_a_batch(&mut mover);
        setup.assert_moved();
    }
}

/// Publishes a message with an id, which the stream stores once within its duplicate window. Returns whether it did.
fn is_stored(setup: &Setup, id: &str) -> bool {
    setup.nats.run(|context| async move {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let sent = context.publish_with_headers("orders.probe", headers, "probe".into()).await;
        !sent.expect("sent").await.expect("acknowledged").duplicate
    })
}

#[test]
fn a_mover_that_is_stopped_for_longer_than_the_duplicate_window_doubles_nothing() {
    let setup = Setup::create();
    setup.nats.create_stream(Config {
        name: STREAM.to_owned(),
        subjects: vec!["orders.*".to_owned(), "pgq_position.>".to_owned()],
        allow_atomic_publish: true,
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    });
    setup.register();
    let events = amount::pick(20_000, 100_000);
    setup.insert(0, events);
    for round in 0..amount::pick(4, 20) {
        let before = setup.nats.count(STREAM);
        let mut mover = Running::start(&mut setup.mover(&[]));
        wait_for("a part", || setup.nats.count(STREAM) > before || !mover.is_running());
        mover.kill();
        assert!(round > 0 || setup.nats.count(STREAM) < events as u64, "the whole batch was stored");
        let id = format!("round {round}");
        assert!(is_stored(&setup, &id));
        wait_for("the end of the window", || is_stored(&setup, &id));
    }
    setup.drain();
    setup.assert_moved_of("type");
}

#[test]
fn a_server_that_is_frozen_for_longer_than_the_mover_waits_loses_and_doubles_nothing() {
    let setup = Setup::create();
    setup.register();
    let mut mover = setup.mover.start();
    setup.insert(0, 10);
    setup.wait_for_the_end_of_the_batch();
    setup.nats.signal_node(0, Signal::SIGSTOP);
    setup.insert(10, 10);
    // The mover gives up, and its messages wait in the connection.
    wait_for("an error", || setup.log().contains("no reply within 10 seconds"));
    setup.nats.signal_node(0, Signal::SIGCONT);
    setup.wait_for_the_end_of_the_batch();
    assert!(mover.is_running(), "{}", setup.log());
    setup.assert_moved();
}
