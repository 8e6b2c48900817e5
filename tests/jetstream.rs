//! `jetstream_mover` moves every event into a stream, exactly once and in order.

mod bad_input;
mod client_log;
mod cluster;
mod crash;
mod created_stream;
mod failover;
mod login;
mod mover;
mod one_by_one;
mod outages;
mod pooler;
mod position;
mod random_kills;
mod refused;
mod sources;
mod team;
mod two_movers;

use std::process::{Command, Output};

use async_nats::jetstream::stream::Config;
use postgres::Client;

use self::mover::{Mover, Source};
use crate::support::nats::{NatsServer, Release};
use crate::support::programs::Running;
use crate::support::queues::{self, UNUSUAL};
use crate::support::wait_for;

const QUEUE: &str = "orders";
const JOB: &str = "orders_to_nats";
const STREAM: &str = "ORDERS";

/// A source with a queue, a NATS server, and a mover.
struct Setup {
    mover: Mover,
    source: Source,
    nats: NatsServer,
}

impl Setup {
    fn create() -> Setup {
        Setup::of(Way::OneByOne)
    }

    fn of(way: Way) -> Setup {
        let setup = Setup::on(NatsServer::start_release(way.release()));
        way.prepare(&setup);
        setup
    }

    fn on(nats: NatsServer) -> Setup {
        Setup::between(Source::shared(), nats)
    }

    fn between(source: Source, nats: NatsServer) -> Setup {
        Setup { mover: Mover::new(&source.conninfo(), &nats.url()), source, nats }
    }

    /// Writes the mover's file; `changes` are values of keys.
    fn write_ini(&self, changes: &[(&str, &str)]) {
        self.mover.write_ini(changes);
    }

    fn client(&self) -> Client {
        self.source.client()
    }

    fn mover(&self, switches: &[&str]) -> Command {
        self.mover.command(switches)
    }

    fn register(&self) {
        self.mover.register();
    }

    /// Moves all that is there and ends.
    fn drain(&self) -> Output {
        self.mover.drain()
    }

    /// Runs the mover as [`drain`](Setup::drain) does, and returns its error line.
    #[track_caller]
    fn failure(&self) -> String {
        self.mover.failure()
    }

    fn log(&self) -> String {
        self.mover.log()
    }

    /// Inserts events and ticks.
    fn insert(&self, from: i64, count: i64) {
        self.source.insert(from, count);
    }

    /// Waits until the running mover finishes another batch.
    #[track_caller]
    fn wait_for_a_batch(&self, mover: &mut Running) {
        let mut client = self.client();
        let (before, _) = queues::position(&mut client, QUEUE, JOB);
        wait_for("the mover to finish a batch", || {
            assert!(mover.is_running(), "the mover has ended: {}", self.log());
            queues::position(&mut client, QUEUE, JOB).0 > before
        });
    }

    /// Waits until the mover has finished all that there is.
    #[track_caller]
    fn wait_for_the_end_of_the_batch(&self) {
        let mut client = self.client();
        let last = "select max(tick_id) from pgq.tick";
        let last: i64 = client.query_one(last, &[]).expect("readable").get(0);
        wait_for("the end of the batch", || queues::position(&mut client, QUEUE, JOB) == (last, None));
    }

    /// Fails unless the stream has exactly the queue's events, in order.
    #[track_caller]
    fn assert_moved(&self) {
        self.compare(|_| true);
    }

    /// As [`assert_moved`](Setup::assert_moved), of the events of one type.
    #[track_caller]
    fn assert_moved_of(&self, event_type: &str) {
        self.compare(|found| found == event_type);
    }

    #[track_caller]
    fn compare(&self, includes: impl Fn(&str) -> bool) {
        let expected = queues::events(&mut self.client(), QUEUE);
        let expected = expected.iter().filter(|row| includes(row[0].as_deref().unwrap_or_default()));
        let expected: Vec<_> = expected.map(|row| row[1].clone().unwrap_or_default()).collect();
        let moved = self.nats.events(STREAM);
        let moved =
            moved.iter().filter(|message| includes(message.header("Pgq-Event-Type").unwrap_or_default()));
        let moved: Vec<_> = moved.map(|message| message.text.clone()).collect();
        assert_eq!(moved.len(), expected.len(), "{}", self.log());
        assert!(moved == expected, "the events differ: {}", self.log());
    }
}

/// How the stream stores the messages of a part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    AtomicBatches,
    OneByOne,
    /// One by one, on servers that have no atomic batches.
    OldServers,
}

impl Way {
    fn release(self) -> Release {
        match self {
            Way::OldServers => Release::Old,
            Way::AtomicBatches | Way::OneByOne => Release::Current,
        }
    }

    /// Creates the stream if the mover's own would store messages in another way.
    fn prepare(self, setup: &Setup) {
        if self == Way::AtomicBatches {
            // Messages have no ids if they are remembered for the default time of two minutes.
            setup.nats.create_stream(Config {
                name: STREAM.to_owned(),
                subjects: vec!["orders.*".to_owned(), "pgq_position.>".to_owned()],
                allow_atomic_publish: true,
                ..Config::default()
            });
        }
    }
}

/// Makes the options of a stream with atomic batches and these subjects.
fn stream_of(subjects: &[&str]) -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
        allow_atomic_publish: true,
        ..Config::default()
    }
}

/// Runs a test in each way.
fn in_each_way(test: impl Fn(Setup)) {
    for way in [Way::AtomicBatches, Way::OneByOne, Way::OldServers] {
        test(Setup::of(way));
    }
}

#[test]
fn ten_thousand_events_are_moved_once_and_in_order() {
    in_each_way(|setup| ten_thousand_events(&setup));
}

fn ten_thousand_events(setup: &Setup) {
    setup.register();
    for part in 0..4 {
        setup.insert(part * 2_500, 2_500);
    }
    setup.drain();
    assert_eq!(setup.nats.events(STREAM).len(), 10_000);
    setup.assert_moved();
    // Nothing is moved again.
    setup.drain();
    setup.assert_moved();
}

#[test]
fn batches_without_events_are_recorded_and_the_next_events_are_moved() {
    in_each_way(|setup| batches_without_events(&setup));
}

fn batches_without_events(setup: &Setup) {
    setup.register();
    for round in 0..3 {
        for _ in 0..3 {
            queues::tick(&mut setup.client(), QUEUE);
            setup.drain();
        }
        setup.insert(round * 10, 10);
        setup.drain();
    }
    setup.assert_moved();
}

#[test]
fn every_column_is_in_headers_subject_and_json() {
    let setup = Setup::create();
    let changes = [("payload", "json"), ("nats_subject", "shop.{extra1}.{schema}.{table}.x-{type}")];
    setup.write_ini(&changes);
    setup.register();
    let mut client = setup.client();
    let event = pgq::NewEvent::default().event_type(Some("new order")).data(Some(UNUSUAL)).extra([
        Some("public.orders"),
        Some(UNUSUAL),
        None,
        Some(""),
    ]);
    let id = pgq::insert_new_event(&mut client, QUEUE, &event).expect("inserted");
    queues::tick(&mut client, QUEUE);
    setup.drain();
    let [message] = &setup.nats.events(STREAM)[..] else { panic!("one message") };
    assert_eq!(message.subject, "shop.public%2Eorders.public.orders.x-new%20order");
    assert_eq!(message.header("Pgq-Event-Id"), Some(id.to_string().as_str()));
    assert_eq!(message.header("Pgq-Event-Type"), Some("new%20order"));
    assert_eq!(message.header("Pgq-Retry"), Some("0"));
    assert_eq!(message.header("Pgq-Extra3"), None);
    assert_eq!(message.header("Pgq-Extra4"), Some(""));
    assert_eq!(message.header("traceparent"), None);
    let extra2 = message.header("Pgq-Extra2").expect("a header");
    let decoded = percent_encoding::percent_decode_str(extra2).decode_utf8().expect("UTF-8");
    assert_eq!(decoded, UNUSUAL);
    let json: serde_json::Value = serde_json::from_str(&message.text).expect("JSON");
    assert_eq!(json["id"], id);
    assert_eq!(json["type"], "new order");
    assert_eq!(json["data"], UNUSUAL);
    assert_eq!(json["extra1"], "public.orders");
    assert_eq!(json["extra3"], serde_json::Value::Null);
    assert_eq!(json["extra4"], "");
    assert_eq!(json["time"].as_str(), message.header("Pgq-Event-Time"));
}

#[test]
fn the_context_of_a_trace_is_a_header() {
    let setup = Setup::create();
    setup.register();
    let mut client = setup.client();
    let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let others = [context.to_uppercase(), context.replace("-01", "-0g"), format!("{context}-x")];
    for text in [context].into_iter().chain(others.iter().map(String::as_str)) {
        let event = pgq::NewEvent::new("paid", text).extra([Some("public.orders"), None, None, Some(text)]);
        pgq::insert_new_event(&mut client, QUEUE, &event).expect("inserted");
    }
    queues::tick(&mut client, QUEUE);
    setup.drain();
    let moved = setup.nats.events(STREAM);
    let found: Vec<_> = moved.iter().map(|message| message.header("traceparent")).collect();
    assert_eq!(found, [Some(context), None, None, None]);
}

#[test]
fn without_headers_a_null_is_an_empty_message() {
    let setup = Setup::create();
    setup.write_ini(&[("nats_headers", "0")]);
    setup.register();
    let mut client = setup.client();
    pgq::insert_new_event(&mut client, QUEUE, &pgq::NewEvent::default()).expect("inserted");
    queues::tick(&mut client, QUEUE);
    setup.drain();
    let [message] = &setup.nats.events(STREAM)[..] else { panic!("one message") };
    assert_eq!((message.subject.as_str(), message.text.as_str()), ("orders._", ""));
    assert_eq!(message.header("Pgq-Event-Id"), None);
}
