//! A cluster of three servers, with a stream of three replicas.

use std::time::Duration;

use nix::sys::signal::Signal;

use async_nats::jetstream::stream::Config;

use super::crash::{pause, survive_rounds};
use super::{STREAM, Setup, Way};
use crate::support::nats::NatsServer;
use crate::support::programs::Running;
use crate::support::random_kills::Random;
use crate::support::{amount, wait_for};

/// The pause of a producer after each event: elections take seconds, and the stream is read at the end.
const PACE: Duration = Duration::from_millis(1);

/// The events of a batch of many parts.
const LARGE: i64 = 20_000;

fn setup(way: Way) -> Setup {
    let setup = Setup::on(NatsServer::start_cluster(way.release()));
    setup.write_ini(&[("nats_create_stream", "3")]);
    setup
}

/// Lets one mover run while `disturb` is called again and again.
fn survive(mut setup: Setup, rounds: u32, mut disturb: impl FnMut(&mut Setup, &mut Running, &mut Random)) {
    survive_rounds(&mut setup, 1, PACE, |setup, mover, random| {
        for _ in 0..rounds {
            setup.wait_for_a_batch(mover);
            pause(random, 400);
            disturb(setup, mover, random);
        }
        setup.nats.start_again();
        setup.nats.wait_until_current(STREAM);
        setup.wait_for_a_batch(mover);
    });
}

#[test]
fn a_leader_that_is_killed_at_random_loses_and_doubles_nothing() {
    kill_leaders(setup(Way::OneByOne));
}

#[test]
fn a_stream_with_replicas_needs_atomic_batches() {
    let setup = setup(Way::OneByOne);
    setup.nats.create_stream(Config {
        name: STREAM.to_owned(),
        subjects: vec!["orders.*".to_owned(), "pgq_position.>".to_owned()],
        num_replicas: 3,
        ..Config::default()
    });
    let failure = setup.failure();
    let expected = "stream `ORDERS` has replicas and no atomic batches; `nats stream edit ORDERS --allow-batch` enables them";
    assert!(failure.contains(expected), "{failure}");
}

#[test]
fn a_leader_of_old_servers_that_is_killed_at_random_loses_and_doubles_nothing() {
    kill_leaders(setup(Way::OldServers));
}

fn kill_leaders(setup: Setup) {
    // While all is well, nothing is refused.
    setup.register();
    setup.insert(0, 5_000);
    setup.drain();
    setup.assert_moved();
    survive(setup, amount::pick(2, 20), |setup, mover, random| {
        let leader = setup.nats.wait_for_leader(STREAM);
        setup.nats.stop_node(leader);
        match random.below(2) {
            0 => setup.wait_for_a_batch(mover),
            _ => pause(random, 400),
        }
        setup.nats.start_again();
    });
}

#[test]
fn a_leader_that_is_killed_within_a_batch_loses_and_doubles_nothing() {
    let mut setup = setup(Way::OneByOne);
    setup.register();
    let mut mover = setup.mover.start();
    for round in 0..amount::pick(2, 6) {
        let before = setup.nats.count(STREAM);
        setup.insert(round * LARGE, LARGE);
        wait_for("a part", || setup.nats.count(STREAM) > before);
        let leader = setup.nats.wait_for_leader(STREAM);
        setup.nats.stop_node(leader);
        setup.wait_for_the_end_of_the_batch();
        setup.nats.start_again();
        assert!(mover.is_running(), "{}", setup.log());
        setup.nats.wait_until_current(STREAM);
        setup.assert_moved();
    }
}

/// The others elect a leader meanwhile. The old one then still takes messages, and responds to a request for the position.
#[test]
fn a_leader_that_is_frozen_loses_and_doubles_nothing() {
    survive(setup(Way::OneByOne), amount::pick(1, 15), |setup, mover, _| {
        let leader = setup.nats.wait_for_leader(STREAM);
        setup.nats.signal_node(leader, Signal::SIGSTOP);
        setup.wait_for_a_batch(mover);
        setup.nats.signal_node(leader, Signal::SIGCONT);
    });
}

#[test]
fn a_leader_that_steps_down_loses_and_doubles_nothing() {
    survive(setup(Way::OneByOne), amount::pick(5, 100), |setup, _, _| {
        wait_for("the leader to step down", || setup.nats.step_down(STREAM));
    });
}

#[test]
fn a_cluster_that_loses_its_majority_loses_and_doubles_nothing() {
    survive(setup(Way::OneByOne), amount::pick(1, 10), |setup, mover, random| {
        let leader = setup.nats.wait_for_leader(STREAM);
        let other = (leader + 1 + usize::from(random.below(2) == 1)) % 3;
        let before = setup.log().len();
        for node in [leader, other] {
            setup.nats.stop_node(node);
        }
        wait_for("an error", || setup.log()[before..].contains(" ERROR "));
        assert!(mover.is_running(), "{}", setup.log());
        setup.nats.start_again();
    });
}

#[test]
fn a_mover_that_starts_without_a_majority_ends_with_one_line() {
    let mut setup = setup(Way::OneByOne);
    setup.register();
    for (round, leads) in [(0, true), (1, false)] {
        setup.insert(round * 10, 10);
        let leader = setup.nats.wait_for_leader(STREAM);
        let survivor = if leads { leader } else { (leader + 1) % 3 };
        for node in (0..3).filter(|node| *node != survivor) {
            setup.nats.stop_node(node);
        }
        let failure = setup.failure();
        let lines: Vec<&str> = failure.lines().filter(|line| line.contains(" ERROR ")).collect();
        let is_clear = |line: &str| line.contains("stream `ORDERS`") && !line.contains("another process");
        assert!(lines.len() == 1 && is_clear(lines[0]), "{failure}");
        setup.nats.start_again();
        setup.nats.wait_for_leader(STREAM);
        // The servers may store a batch of the mover that has ended only now, so that the next one is refused.
        wait_for("the mover to succeed", || {
            let output = setup.mover(&["--set", "loop_delay=0"]).output().expect("the program starts");
            output.status.success()
        });
        setup.assert_moved();
    }
}
