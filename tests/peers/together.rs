//! python-pgq's producers and consumers, with `pgqd` as the ticker: every event is processed once.

use nix::sys::signal::Signal;

use super::python::{PROCESSED, Setup, processed};
use super::*;
use crate::support::programs::succeed;
use crate::support::wait_for;

on_both_kinds!(a_plain_consumer, cooperative_consumers, a_remote_consumer, a_serial_consumer);

fn a_plain_consumer(kind: Kind) {
    let mut setup = Setup::create(kind);
    setup.source.1.batch_execute(PROCESSED).expect("created");
    let mut client = setup.source.0.client();
    run(&mut setup, "Plain", &["plain"], &mut client);
    assert_eq!(processed(&mut client).1, setup.numbers().len() / 5);
}

fn cooperative_consumers(kind: Kind) {
    let mut setup = Setup::create(kind);
    setup.source.1.batch_execute(PROCESSED).expect("created");
    let mut client = setup.source.0.client();
    run(&mut setup, "Coop", &["a", "b", "c"], &mut client);
    assert_eq!(processed(&mut client).1, setup.numbers().len() / 5);
}

fn a_remote_consumer(kind: Kind) {
    let mut setup = Setup::create(kind);
    let mut client = setup.target.0.client();
    run(&mut setup, "Remote", &["remote"], &mut client);
    assert_eq!(processed(&mut client).1, setup.numbers().len() / 5);
}

fn a_serial_consumer(kind: Kind) {
    let mut setup = Setup::create(kind);
    let mut client = setup.target.0.client();
    run(&mut setup, "Serial", &["serial"], &mut client);
    assert_eq!(processed(&mut client).1, 0);
}

/// Runs consumers of a class while the tables rotate, stops them, and compares. `client` is connected to the database
/// of the processed events.
fn run(setup: &mut Setup, class: &str, jobs: &[&str], client: &mut Client) {
    for job in jobs {
        succeed(&mut setup.consumer(class, job, "", &["--register"]));
    }
    let _daemon = pgqd(setup.source.0.server(), setup.folder.path(), &[setup.source.0.name()]);
    let start = |job: &&str| Running::start(&mut setup.consumer(class, job, "loop_delay = 0.1\n", &[]));
    let mut consumers: Vec<_> = jobs.iter().map(start).collect();
    for _ in 0..3 {
        setup.produce(50);
        wait_for("the events to be processed", || processed(client).0.len() >= setup.numbers().len());
        let before = current_table(&mut setup.source.1);
        wait_for("the tables to rotate", || current_table(&mut setup.source.1) != before);
    }
    for consumer in &mut consumers {
        consumer.signal(Signal::SIGINT);
        consumer.wait();
    }
    assert_eq!(processed(client).0, setup.numbers());
    for job in jobs {
        succeed(&mut setup.consumer(class, job, "", &["--unregister"]));
    }
}
