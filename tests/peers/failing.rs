//! python-pgq's remote consumers after a failure: nothing is lost or applied twice.

use super::python::{Setup, processed};
use super::*;
use crate::support::programs::{errors, succeed};

/// Ends when nothing is left.
const ONCE: &str = "loop_delay = 0\nretry = 0\n";

on_both_kinds!(
    a_remote_consumer_skips_a_batch_that_it_could_not_finish,
    a_serial_consumer_skips_a_batch_that_it_could_not_finish,
    a_serial_consumer_rewinds_to_a_restored_target
);

fn a_remote_consumer_skips_a_batch_that_it_could_not_finish(kind: Kind) {
    skips_a_batch(kind, "Remote");
}

fn a_serial_consumer_skips_a_batch_that_it_could_not_finish(kind: Kind) {
    skips_a_batch(kind, "Serial");
}

/// The batch is committed on the target, and then cannot be finished on the source. An event to retry would be lost
/// then: python-pgq schedules the retry together with finishing the batch.
fn skips_a_batch(kind: Kind, class: &str) {
    let mut setup = Setup::create(kind);
    succeed(&mut setup.consumer(class, "job", "", &["--register"]));
    fill(&mut setup, 8);
    setup
        .source
        .1
        .batch_execute(
            "create function refuse() returns trigger language plpgsql as 'begin raise ''refused''; end'; \
             create trigger refuse before update on pgq.subscription for each row \
             when (new.sub_batch is null) execute function refuse()",
        )
        .expect("created");
    let output = setup.consumer(class, "job", ONCE, &[]).output().expect("starts");
    assert!(!output.status.success() && errors(&output).contains("refused"), "{}", errors(&output));
    let first = processed(&mut setup.target.1).0;
    assert_eq!(first, setup.numbers(), "applied");

    setup.source.1.batch_execute("drop trigger refuse on pgq.subscription").expect("dropped");
    consume(&mut setup, class);
    assert_eq!(processed(&mut setup.target.1).0, first, "not again");
    fill(&mut setup, 8);
    consume(&mut setup, class);
    assert_eq!(processed(&mut setup.target.1).0, setup.numbers());
}

fn a_serial_consumer_rewinds_to_a_restored_target(kind: Kind) {
    let mut setup = Setup::create(kind);
    succeed(&mut setup.consumer("Serial", "job", "", &["--register"]));
    fill(&mut setup, 10);
    consume(&mut setup, "Serial");
    setup
        .target
        .1
        .batch_execute("create table backup as select * from pgq_ext.completed_tick")
        .expect("saved");
    for _ in 0..3 {
        fill(&mut setup, 10);
        consume(&mut setup, "Serial");
    }
    setup
        .target
        .1
        .batch_execute(
            "delete from processed where event > 10; delete from pgq_ext.completed_tick; \
             insert into pgq_ext.completed_tick select * from backup",
        )
        .expect("restored");
    fill(&mut setup, 10);
    let output = setup.consumer("Serial", "job", ONCE, &[]).output().expect("starts");
    assert!(!output.status.success() && errors(&output).contains("Lost position"), "{}", errors(&output));
    assert_eq!(processed(&mut setup.target.1).0.len(), 10);

    succeed(&mut setup.consumer("Serial", "job", "", &["--rewind"]));
    consume(&mut setup, "Serial");
    assert_eq!(processed(&mut setup.target.1).0, setup.numbers());
}

/// Inserts events and makes a tick.
fn fill(setup: &mut Setup, count: i64) {
    setup.insert(count);
    queues::tick(&mut setup.source.1, QUEUE);
}

/// Runs a consumer until nothing is left.
fn consume(setup: &mut Setup, class: &str) {
    succeed(&mut setup.consumer(class, "job", ONCE, &[]));
}
