//! Settings, streams and switches that do not fit are one clear line.

use async_nats::jetstream::stream::Config;

use super::{
    JOB, QUEUE, STREAM, Setup, Way, assert_each_once, insert_batch, member, member_with, open_batches, team,
};
use crate::jetstream::stream_of;
use crate::support::nats::{NatsServer, Release};
use crate::support::programs::{errors, succeed};
use crate::support::queues;

/// Checks that a subconsumer fails at its start with this line, and that nothing is stored.
#[track_caller]
fn check(setup: &Setup, expected: &str) {
    let failure = member(setup, "a").failure();
    let lines = failure.lines().filter(|line| line.contains(expected)).count();
    assert!(lines == 1 && failure.matches(" ERROR ").count() <= 1, "{expected}: {failure}");
    assert!(setup.nats.events(STREAM).is_empty());
}

#[test]
fn a_stream_without_atomic_batches() {
    let setup = Setup::on(NatsServer::start());
    let config = stream_of(&["orders.*", "pgq_position.>"]);
    setup.nats.create_stream(Config { allow_atomic_publish: false, ..config });
    check(
        &setup,
        "subconsumers need atomic batches, which stream `ORDERS` does not have; on servers from 2.12 on, `nats stream edit ORDERS \
         --allow-batch` enables them",
    );
}

#[test]
fn a_server_without_atomic_batches() {
    check(
        &Setup::on(NatsServer::start_release(Release::Old)),
        "subconsumers need atomic batches, which stream `ORDERS` does not have",
    );
}

#[test]
fn a_stream_that_denies_purges() {
    let setup = Setup::on(NatsServer::start());
    setup.nats.create_stream(Config { deny_purge: true, ..stream_of(&["orders.*", "pgq_position.>"]) });
    check(&setup, "stream `ORDERS` denies purges");
}

#[test]
fn a_stream_that_does_not_take_the_records() {
    let setup = Setup::on(NatsServer::start());
    setup.nats.create_stream(stream_of(&["orders.*", "pgq_position.ORDERS.*"]));
    check(
        &setup,
        "the records of subconsumers' batches: the stream does not take subject `pgq_position.ORDERS.orders_to_nats.*`",
    );
}

#[test]
fn rewind_needs_a_position_of_one_consumer() {
    let (_setup, [a]) = team(["a"]);
    let output = a.command(&["--rewind"]).output().expect("the program starts");
    assert!(!output.status.success());
    assert!(errors(&output).contains("subconsumers have no single tick to rewind to"), "{}", errors(&output));
}

#[test]
fn a_subconsumer_with_an_open_batch_is_not_unregistered() {
    let (setup, [a, b]) = team(["a", "b"]);
    insert_batch(&setup, 0, 20_000);
    super::start_within_batch(&setup, &a).kill();
    let output = a.command(&["--unregister"]).output().expect("the program starts");
    assert!(!output.status.success());
    let expected = format!("cannot unregister consumer `{JOB}.a`: it has a batch open; start it again");
    assert!(errors(&output).contains(&expected), "{}", errors(&output));
    assert_eq!(open_batches(&mut setup.client()), 1);
    a.drain();
    succeed(&mut a.command(&["--unregister"]));
    // The consumer and its position stay.
    insert_batch(&setup, 1, 10);
    b.drain();
    assert_each_once(&setup);
}

#[test]
fn a_new_subconsumer_leaves_the_position_and_a_new_consumer_does_not() {
    let (setup, [a]) = team(["a"]);
    insert_batch(&setup, 0, 10);
    a.drain();
    let b = member(&setup, "b");
    // One that registers itself at its start.
    b.drain();
    insert_batch(&setup, 1, 10);
    b.drain();
    assert_each_once(&setup);
    // A position of an earlier registration is forgotten.
    pgq::admin::unregister_consumer(&mut setup.client(), QUEUE, JOB).expect("unregistered");
    queues::tick(&mut setup.client(), QUEUE);
    a.register();
    insert_batch(&setup, 2, 10);
    a.drain();
    assert_each_once(&setup);
}

#[test]
fn a_subject_of_the_position_of_its_own_is_taken_too() {
    let setup = Setup::of(Way::OneByOne);
    let changes = [("nats_position_subject", "mover.position")];
    let a = member_with(&setup, "a", &changes);
    a.register();
    insert_batch(&setup, 0, 10);
    a.drain();
    let events = setup.nats.messages(STREAM);
    assert_eq!(events.iter().filter(|event| event.subject.starts_with("orders.")).count(), 10);
    assert!(!events.iter().any(|event| event.subject.starts_with("mover.position.")));
}
