//! Two sessions that do the same concurrently, and sessions that block others.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::{Client, GenericClient, Transaction};

use super::Place;
use crate::support::{queues, wait_for};

const WAITING: &str = "select count(*) from pg_stat_activity \
                       where datname = current_database() and wait_event_type = 'Lock'";

fn waiting(client: &mut Client) -> i64 {
    client.query_one(WAITING, &[]).expect("readable").get(0)
}

/// Runs `second` while the transaction of `first` is open; returns the result of `second`.
fn at_once<T: Send>(
    place: &mut Place,
    first: impl FnOnce(&mut Transaction<'_>),
    second: impl FnOnce(&mut Client) -> Result<T, pgq::Error> + Send,
) -> Result<T, pgq::Error> {
    let [mut one, mut other] = [place.database.client(), place.database.client()];
    let mut one = one.transaction().expect("begun");
    first(&mut one);
    thread::scope(|scope| {
        let second = scope.spawn(move || second(&mut other));
        wait_for("the second to wait", || waiting(&mut place.client) == 1);
        one.commit().expect("committed");
        second.join().expect("no panic")
    })
}

fn create(client: &mut impl GenericClient) -> Result<bool, pgq::Error> {
    pgq::admin::create_queue(client, "q")
}

fn register(client: &mut impl GenericClient) -> Result<bool, pgq::Error> {
    pgq::admin::register_consumer(client, "q", "c")
}

fn unregister(client: &mut impl GenericClient) -> Result<bool, pgq::Error> {
    pgq::admin::unregister_consumer(client, "q", "c")
}

fn drop(client: &mut impl GenericClient) -> Result<bool, pgq::Error> {
    pgq::admin::drop_queue(client, "q", pgq::admin::DropMode::Force)
}

#[test]
fn the_second_session_finds_it_done() {
    for mut place in Place::each() {
        let place = &mut place;
        assert!(!at_once(place, |one| assert!(create(one).expect("created")), create).expect("there"));
        assert!(!at_once(place, |one| assert!(register(one).expect("registered")), register).expect("there"));
        assert!(!at_once(place, |one| assert!(unregister(one).expect("gone")), unregister).expect("gone"));
        assert!(!at_once(place, |one| assert!(drop(one).expect("dropped")), drop).expect("gone"));
    }
}

#[test]
fn a_queue_that_vanishes_is_not_there() {
    for mut place in Place::each() {
        let ours = |one: &mut Transaction<'_>| assert!(drop(one).expect("dropped"));
        // Another program, which takes no turns.
        let theirs = |one: &mut Transaction<'_>| {
            one.batch_execute("select pgq.drop_queue('q', true)").expect("dropped")
        };
        for by in [&ours as &dyn Fn(&mut Transaction<'_>), &theirs] {
            queues::create(&mut place.client, "q");
            let error = at_once(&mut place, by, register).expect_err("it is gone");
            assert!(error.kind() == pgq::ErrorKind::Missing, "{error:?}");
            queues::create(&mut place.client, "q");
            assert!(!at_once(&mut place, by, drop).expect("it is gone"));
        }
    }
}

#[test]
fn several_queues_are_created_by_two_at_once() {
    for mut place in Place::each() {
        let both = |names: [&str; 2]| {
            place.command(&["create", names[0], names[1]]).stderr(Stdio::null()).spawn().expect("starts")
        };
        let mut programs: Vec<Child> = vec![both(["a", "b"]), both(["b", "a"])];
        assert!(programs.iter_mut().all(|program| program.wait().expect("ends").success()));
        assert_eq!(place.value("select count(*) from pgq.queue"), "2");
    }
}

/// Begins a transaction that has inserted an event; returns its process, too.
fn producer(place: &Place) -> (Client, i32) {
    let mut producer = place.database.client();
    producer.batch_execute("set application_name = 'shop'; begin").expect("begun");
    queues::insert(&mut producer, "q", 1, 1);
    let pid = producer.query_one("select pg_backend_pid()", &[]).expect("answers").get(0);
    (producer, pid)
}

#[test]
fn a_queue_in_use_is_not_dropped_and_its_user_is_named() {
    for mut place in Place::each() {
        place.done(&["create", "q"]);
        let (mut producer, pid) = producer(&place);
        let output =
            place.command(&["drop", "q", "--force"]).env("PGOPTIONS", "-c lock_timeout=100ms").output();
        let text = crate::support::programs::errors(&output.expect("runs"));
        let user = format!(
            "cannot drop the queue: it is in use by transaction of process {pid} (application `shop`"
        );
        assert!(text.contains(&user) && text.lines().count() == 1, "{text}");
        // The limit is set only in sessions that have none, and only while the queue is dropped.
        let limit = "select current_setting('lock_timeout')";
        let mut transaction = place.client.transaction().expect("begun");
        assert!(
            !pgq::admin::drop_queue(&mut transaction, "nope", pgq::admin::DropMode::Force)
                .expect("not there")
        );
        assert_eq!(transaction.query_one(limit, &[]).expect("answers").get::<_, &str>(0), "0");
        transaction.rollback().expect("rolled back");
        producer.batch_execute("commit").expect("committed");
        assert_eq!(queues::count(&mut place.client, "q"), 1);
    }
}

#[test]
fn an_interrupt_cancels_the_servers_statement() {
    for mut place in Place::each() {
        place.done(&["create", "q"]);
        let (mut producer, _) = producer(&place);
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut drop = place.command(&["drop", "q", "--force"]);
            let drop = drop.env("PGOPTIONS", "-c lock_timeout=1h").stderr(Stdio::piped()).spawn();
            let drop = drop.expect("starts");
            wait_for("the drop to wait", || waiting(&mut place.client) == 1);
            kill(Pid::from_raw(i32::try_from(drop.id()).expect("small")), signal).expect("there");
            let output = drop.wait_with_output().expect("ends");
            let text = crate::support::programs::errors(&output);
            assert_eq!(output.status.signal(), Some(signal as i32), "{text}");
            assert!(text.contains(&format!("cancelled by {signal}: ")) && text.contains("57014"), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
            assert_eq!(waiting(&mut place.client), 0);
        }
        producer.batch_execute("commit").expect("committed");
        assert_eq!(queues::count(&mut place.client, "q"), 1);
    }
}
