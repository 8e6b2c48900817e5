//! Several subconsumers of one consumer share its batches.

mod crash;
mod positions;
mod random;
mod refusals;
mod takeover;

use std::collections::BTreeMap;

use postgres::Client;
use serde_json::Value;

use super::mover::Mover;
use super::{JOB, QUEUE, STREAM, Setup, Way};
use crate::support::nats::Stored;
use crate::support::programs::Running;
use crate::support::{queues, wait_for};

const POSITION: &str = "pgq_position.ORDERS.orders_to_nats";
/// A time after which no subconsumer is dead while a test runs.
const NEVER: &str = "1 day";

/// Makes the file of a subconsumer, with which no batch is merged with the next one; `changes` are values of keys.
fn member_with(setup: &Setup, name: &str, changes: &[(&str, &str)]) -> Mover {
    let mover = Mover::new(&setup.source.conninfo(), &setup.nats.url());
    let keys = [("subconsumer_name", name), ("subconsumer_timeout", NEVER), ("pgq_merge_events", "0")];
    mover.write_ini(&[&keys[..], changes].concat());
    mover
}

fn member(setup: &Setup, name: &str) -> Mover {
    member_with(setup, name, &[])
}

/// Makes a setup with registered subconsumers.
fn team<const N: usize>(names: [&str; N]) -> (Setup, [Mover; N]) {
    let setup = Setup::of(Way::OneByOne);
    let movers = names.map(|name| member(&setup, name));
    for mover in &movers {
        mover.register();
    }
    (setup, movers)
}

/// Returns the records of batches.
fn records(setup: &Setup) -> Vec<Stored> {
    let prefix = format!("{POSITION}.");
    let all = setup.nats.messages(STREAM);
    all.into_iter().filter(|message| message.subject.starts_with(&prefix)).collect()
}

/// Returns the ranges as JSON.
fn ranges(setup: &Setup) -> Value {
    let all = setup.nats.messages(STREAM);
    let last = all.iter().rfind(|message| message.subject == POSITION).expect("a message with ranges");
    serde_json::from_str::<Value>(&last.text).expect("JSON")["ranges"].take()
}

fn count(client: &mut Client, select: &str) -> i64 {
    client.query_one(select, &[]).expect("countable").get(0)
}

/// Returns how many batches are open.
fn open_batches(client: &mut Client) -> i64 {
    count(client, "select count(*) from pgq.subscription where sub_batch is not null")
}

/// Returns whether all ticks are consumed and all batches finished.
fn is_done(client: &mut Client) -> bool {
    let last = count(client, "select max(tick_id) from pgq.tick");
    queues::position(client, QUEUE, JOB).0 == last && open_batches(client) == 0
}

/// Waits until the running subconsumers have applied everything and closed all records.
#[track_caller]
fn wait_until_done(setup: &Setup) {
    let mut client = setup.client();
    wait_for("the end of the backlog", || is_done(&mut client));
    wait_for("the records to be closed", || records(setup).is_empty());
}

/// Fails unless the stream has each of the queue's events once.
#[track_caller]
fn assert_each_once(setup: &Setup) {
    let mut expected: Vec<_> =
        queues::events(&mut setup.client(), QUEUE).into_iter().map(|mut row| row.swap_remove(1)).collect();
    let mut moved: Vec<_> = setup.nats.events(STREAM).into_iter().map(|event| Some(event.text)).collect();
    expected.sort();
    moved.sort();
    assert_eq!(moved.len(), expected.len());
    assert!(moved == expected, "the events differ");
}

/// Returns the events of each batch in the stream's order. A batch has events of one type.
fn by_type(setup: &Setup) -> BTreeMap<String, Vec<i64>> {
    let mut batches: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for event in setup.nats.events(STREAM) {
        let id = event.header("Pgq-Event-Id").expect("an id").parse().expect("a number");
        batches.entry(event.header("Pgq-Event-Type").expect("a type").to_owned()).or_default().push(id);
    }
    batches
}

/// Inserts a batch of events of a type of its own.
fn insert_batch(setup: &Setup, number: i64, events: i64) {
    let mut client = setup.client();
    let insert = "select count(pgq.insert_event($1, $2, $2 || ' ' || n)) from generate_series(1, $3::int8) n";
    client.execute(insert, &[&QUEUE, &format!("b{number}"), &events]).expect("inserted");
    queues::tick(&mut client, QUEUE);
}

/// Marks all subconsumers as silent for a day.
fn make_silent(setup: &Setup) {
    let silent =
        "update pgq.subscription set sub_active = now() - interval '2 days' where sub_batch is not null";
    setup.client().execute(silent, &[]).expect("updated");
}

/// Starts a subconsumer, and returns when a part of its batch is stored.
#[track_caller]
fn start_within_batch(setup: &Setup, mover: &Mover) -> Running {
    let before = setup.nats.count(STREAM);
    let mut running = mover.start();
    // The record of the batch is stored first, with the ranges.
    wait_for("a part", || {
        assert!(running.is_running(), "{}", mover.log());
        setup.nats.count(STREAM) > before + 10
    });
    running
}

#[test]
fn three_subconsumers_share_a_backlog() {
    let (setup, movers) = team(["a", "b", "c"]);
    for number in 0..60 {
        insert_batch(&setup, number, 50);
    }
    let running: Vec<Running> = movers.iter().map(Mover::start).collect();
    wait_until_done(&setup);
    drop(running);
    assert_each_once(&setup);
    for (batch, ids) in by_type(&setup) {
        assert!(ids.is_sorted(), "{batch}: {ids:?}");
    }
    let ranges = ranges(&setup);
    assert_eq!(ranges["open"].as_array().map(Vec::len), Some(0), "{ranges}");
    assert_eq!(ranges["completed"].as_array().map(Vec::len), Some(1), "{ranges}");
    let active = movers.iter().filter(|mover| mover.log().contains("count: 50")).count();
    assert!(active > 1, "{active}");
    for mover in &movers {
        assert!(!mover.log().contains(" ERROR "), "{}", mover.log());
    }
}

#[test]
fn batches_without_events_and_large_ones_leave_one_range() {
    let (setup, [a, b]) = team(["a", "b"]);
    for number in 0..4 {
        insert_batch(&setup, number, 2_500);
        queues::tick(&mut setup.client(), QUEUE);
    }
    let running = [a.start(), b.start()];
    wait_until_done(&setup);
    drop(running);
    assert_each_once(&setup);
    assert_eq!(ranges(&setup)["completed"].as_array().map(Vec::len), Some(1));
}
