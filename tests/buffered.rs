//! Events from many threads, inserted in bulk by one.

mod refusals;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use pgq::produce::BufferedProducerBuilder;
use pgq::schema::Kind;
use pgq::{BufferedProducer, Error, NewEvent, OwnedEvent};
use postgres::{Client, Transaction};

use crate::support::queues::{self, UNUSUAL};
use crate::support::server::Server;
use crate::support::{Database, templates, wait_for};

pub(crate) const QUEUE: &str = "queue";
pub(crate) const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];
pub(crate) const SHORT: Duration = Duration::from_millis(10);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn database(kind: Kind, prefix: &str) -> (Database, Client) {
    let (database, mut client) = templates::installed(kind, prefix);
    queues::create(&mut client, QUEUE);
    (database, client)
}

/// A producer that writes without delay, and retries soon after a failure.
pub(crate) fn builder(conninfo: &str) -> BufferedProducerBuilder {
    BufferedProducer::builder(conninfo, QUEUE).max_delay(SHORT).retry_delays(SHORT, SHORT)
}

pub(crate) fn event(n: u64) -> OwnedEvent {
    OwnedEvent::new("t", n.to_string())
}

/// Returns the data of all events, in order.
pub(crate) fn data(client: &mut Client) -> Vec<String> {
    queues::events(client, QUEUE).into_iter().map(|mut row| row[1].take().unwrap_or_default()).collect()
}

pub(crate) fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Keeps events from being written as long as the transaction is open.
pub(crate) fn hold(holder: &mut Client) -> Transaction<'_> {
    let mut transaction = holder.transaction().expect("begin");
    let table: String =
        transaction.query_one("select pgq.current_event_table($1)", &[&QUEUE]).expect("there is one").get(0);
    transaction.batch_execute(&format!("lock table {table} in exclusive mode")).expect("locked");
    transaction
}

/// Waits until the producer waits for that lock.
pub(crate) fn wait_held(client: &mut Client) {
    let waiting = "select count(*) > 0 from pg_stat_activity where datname = current_database() \
                   and application_name = 'queue/producer' and wait_event_type = 'Lock'";
    wait_for("the producer to wait for the lock", || {
        client.query_one(waiting, &[]).expect("readable").get::<_, bool>(0)
    });
}

fn disable(client: &mut Client, disabled: bool) {
    client.execute("update pgq.queue set queue_disable_insert = $1", &[&disabled]).expect("updated");
}

fn is_disabled(error: &Error) -> bool {
    let line = dbscript::describe(error);
    error.kind() != pgq::ErrorKind::Missing && (line.contains("disabled") || line.contains("disallowed"))
}

#[test]
fn the_events_of_each_thread_stay_in_order() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "buffered");
        let producer = builder(&database.conninfo()).max_events(64).spawn().expect("up");
        thread::scope(|scope| {
            for name in ["a", "b"] {
                let producer = producer.clone();
                scope.spawn(move || {
                    for n in 0..2000 {
                        producer.send(OwnedEvent::new(name, n.to_string())).expect("accepted");
                    }
                });
            }
        });
        producer.flush().expect("committed");
        let rows = queues::events(&mut client, QUEUE);
        for name in ["a", "b"] {
            let own = rows.iter().filter(|row| row[0].as_deref() == Some(name));
            let own: Vec<String> = own.filter_map(|row| row[1].clone()).collect();
            assert_eq!(own, numbers(0..2000));
        }
        let stats = producer.stats();
        assert_eq!((stats.sent, stats.committed, stats.failed, stats.buffered), (4000, 4000, 0, 0));
        assert!(stats.transactions >= 4000 / 32 && stats.buffered_bytes == 0, "{stats:?}");
        producer.close().expect("nothing is left");
    }
}

#[test]
fn events_arrive_as_they_were_sent() {
    let (database, mut client) = queues::database("buffered", QUEUE);
    let producer = builder(&database.conninfo()).spawn().expect("up");
    let time: DateTime<Utc> = "2007-10-19T20:59:59Z".parse().expect("a time");
    producer
        .send(NewEvent::new(UNUSUAL, UNUSUAL).extra([None, Some(""), Some(UNUSUAL), None]).time(time))
        .expect("accepted");
    producer.send(NewEvent::default()).expect("accepted");
    // Without a flush, they are written after the delay.
    wait_for("both events", || producer.stats().committed == 2);
    let rows = queues::events(&mut client, QUEUE);
    let unusual = Some(UNUSUAL.to_owned());
    let time = Some("2007-10-19 20:59:59+00".to_owned());
    assert_eq!(rows[0], [unusual.clone(), unusual.clone(), None, Some(String::new()), unusual, None, time]);
    assert_eq!(rows[1][..6], [const { None }; 6]);
}

#[test]
fn a_full_buffer_holds_senders_back() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "buffered");
        let producer = builder(&database.conninfo()).max_events(10).spawn().expect("up");
        let mut holder = database.client();
        let held = hold(&mut holder);
        let accepted = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..100 {
                    producer.send(event(n)).expect("accepted");
                    accepted.fetch_add(1, Ordering::SeqCst);
                }
            });
            wait_held(&mut client);
            wait_for("the buffer to be full", || producer.stats().buffered == 10);
            assert!(producer.try_send(event(100)).expect_err("full").is_full());
            let error = producer.send_timeout(event(100), SHORT).expect_err("full");
            assert_eq!(
                (error.is_full(), error.event(), error.to_string().as_str()),
                (true, &event(100), "the producer's buffer is full")
            );
            assert!(accepted.load(Ordering::SeqCst) <= 10);
            assert_eq!(producer.stats().sent, 10);
            held.rollback().expect("rolled back");
        });
        producer.close().expect("all are committed");
        assert_eq!(data(&mut client), numbers(0..100));
        assert!(producer.send(event(0)).expect_err("closed").is_closed());
        producer.close().expect("nothing was left the first time");
    }
}

#[test]
fn a_connection_that_is_lost_before_the_commit_loses_nothing() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "buffered");
        let producer = builder(&database.conninfo()).max_events(10).spawn().expect("up");
        let mut holder = database.client();
        for n in 0..3 {
            let held = hold(&mut holder);
            producer.send(event(n)).expect("accepted");
            wait_held(&mut client);
            let cut = "select pg_terminate_backend(pid) from pg_stat_activity \
                       where datname = current_database() and application_name = 'queue/producer'";
            client.execute(cut, &[]).expect("cut off");
            wait_for("the failure", || producer.stats().failed == n + 1);
            assert_eq!(producer.stats().buffered, 1);
            held.rollback().expect("rolled back");
            producer.flush().expect("committed the next time");
        }
        assert_eq!(data(&mut client), numbers(0..3));
    }
}

#[test]
fn a_restart_of_the_server_loses_nothing() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("restarted");
    let mut client = server.client("restarted");
    queues::install(&mut client);
    queues::create(&mut client, QUEUE);
    let producer = builder(&server.conninfo("restarted")).max_events(100).spawn().expect("up");
    let enough = AtomicBool::new(false);
    let send_until_enough = || {
        let more = |_: &u64| !enough.load(Ordering::SeqCst);
        (0..).take_while(more).inspect(|n| producer.send(event(*n)).expect("accepted")).count() as u64
    };
    let some_more = || {
        let before = producer.stats().committed;
        wait_for("more events", || producer.stats().committed > before + 1000);
    };
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(send_until_enough);
        some_more();
        server.stop();
        wait_for("a failure", || producer.stats().failed > 0);
        server.start_again();
        some_more();
        server.restart_immediate();
        some_more();
        enough.store(true, Ordering::SeqCst);
        sender.join().expect("no panic")
    });
    producer.close().expect("committed");
    let arrived = data(&mut server.client("restarted"));
    // If the answer to a commit was lost, its batch of fifty is written twice.
    assert!(arrived.len() as u64 <= sent + 2 * 50, "{} events of {sent}", arrived.len());
    let mut seen = HashSet::new();
    let first_times: Vec<String> = arrived.into_iter().filter(|n| seen.insert(n.clone())).collect();
    assert_eq!(first_times, numbers(0..sent));
}

#[test]
fn a_missing_queue_is_reported_and_sent_events_stay() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "buffered");
        let error = BufferedProducer::builder(&database.conninfo(), "nope").spawn().expect_err("no queue");
        assert!(
            error.kind() == pgq::ErrorKind::Missing
                && error.to_string().contains("queue `nope` does not exist"),
            "{error}"
        );

        let producer = builder(&database.conninfo()).spawn().expect("up");
        producer.send(event(0)).expect("accepted");
        producer.flush().expect("committed");
        pgq::admin::drop_queue(&mut client, QUEUE, pgq::admin::DropMode::Force).expect("dropped");
        producer.send(event(1)).expect("not known yet");
        let error = producer.flush().expect_err("no queue");
        assert!(error.kind() == pgq::ErrorKind::Missing, "{error}");
        let refused = producer.send(event(2)).expect_err("known");
        assert!(
            refused.error().is_some_and(|error| error.kind() == pgq::ErrorKind::Missing)
                && !refused.is_closed()
                && !refused.is_full()
        );
        assert_eq!(refused.into_event(), event(2));

        queues::create(&mut client, QUEUE);
        producer.flush().expect("there it is");
        producer.send(event(2)).expect("accepted again");
        producer.close().expect("committed");
        assert_eq!(data(&mut client), numbers(1..3));
    }
}

#[test]
fn a_queue_that_takes_no_events_gives_them_back() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "buffered");
        let producer = builder(&database.conninfo()).max_delay(HOUR).spawn().expect("up");
        disable(&mut client, true);
        (0..3).for_each(|n| producer.send(event(n)).expect("not known yet"));
        let error = producer.flush().expect_err("disabled");
        assert!(is_disabled(&error), "{error:?}");
        assert!(producer.send(event(3)).expect_err("known").error().is_some_and(is_disabled));
        disable(&mut client, false);
        producer.flush().expect("enabled");
        disable(&mut client, true);
        (3..6).for_each(|n| producer.send(event(n)).expect("not known yet"));
        let left = producer.close().expect_err("disabled");
        assert!(is_disabled(left.error()) && left.to_string() == "3 events were not inserted", "{left:?}");
        assert_eq!(left.into_events(), [event(3), event(4), event(5)]);
        assert_eq!((data(&mut client), producer.stats().buffered), (numbers(0..3), 0));
        assert!(producer.flush().is_err(), "what was given back is not committed");
        let again = producer.close().expect_err("not all was inserted");
        assert!(again.events().is_empty() && is_disabled(again.error()), "{again:?}");
    }
}

#[test]
fn patience_has_an_end() {
    let (database, mut client) = queues::database("buffered", QUEUE);
    let producer = builder(&database.conninfo()).patience(SHORT).spawn().expect("up");
    let mut holder = database.client();
    let held = hold(&mut holder);
    (0..3).for_each(|n| producer.send(event(n)).expect("accepted"));
    wait_held(&mut client);
    let error = producer.flush().expect_err("held");
    assert_eq!(error.to_string(), "events were not committed within 0.0 s (queue `queue`)");
    let left = producer.close().expect_err("held");
    assert_eq!(left.events(), [event(0), event(1), event(2)]);
    held.rollback().expect("rolled back");
    assert_eq!(data(&mut client), numbers(0..0), "the attempt was cancelled");
}

#[test]
fn a_flush_reports_why_the_server_is_unavailable() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("away");
    let mut client = server.client("away");
    queues::install(&mut client);
    queues::create(&mut client, QUEUE);
    let producer =
        builder(&server.conninfo("away")).patience(Duration::from_millis(500)).spawn().expect("up");
    server.stop();
    producer.send(event(0)).expect("accepted");
    wait_for("a failure", || producer.stats().failed > 0);
    let error = producer.flush().expect_err("unavailable");
    assert!(error.is_connection() && error.queue() == Some(QUEUE), "{error:?}");
    producer.send(event(1)).expect("there is room");
    server.start_again();
    wait_for("both events", || producer.stats().committed == 2);
}

#[test]
fn dropping_the_last_clone_writes_the_rest() {
    let (database, mut client) = queues::database("buffered", QUEUE);
    let producer = builder(&database.conninfo()).max_delay(HOUR).spawn().expect("up");
    let other = producer.clone();
    (0..3).for_each(|n| other.send(event(n)).expect("accepted"));
    drop(other);
    assert_eq!(producer.stats().buffered, 3);
    drop(producer);
    assert_eq!(data(&mut client), numbers(0..3));
}

#[test]
fn values_that_no_server_can_store_are_refused_at_once() {
    let (database, mut client) = queues::database("buffered", QUEUE);
    let producer = builder(&database.conninfo()).spawn().expect("up");
    let before = |seconds: i64| {
        OwnedEvent::new("t", "0")
            .time(DateTime::from_timestamp(-210_866_803_200 - seconds, 0).expect("a time"))
    };
    for wrong in [OwnedEvent::new("t", "a\0b"), before(1)] {
        let error = producer.send(wrong.clone()).expect_err("refused");
        assert!(error.error().is_some() && error.event() == &wrong, "{error:?}");
    }
    producer.send(before(0)).expect("the first time there is");
    producer.send(OwnedEvent::new("t", "1").time(DateTime::<Utc>::MAX_UTC)).expect("and a late one");
    producer.send(event(2)).expect("the others go on");
    producer.close().expect("committed");
    assert_eq!(data(&mut client), numbers(0..3));
}

#[test]
fn a_large_event_has_its_turn_among_small_ones() {
    let (database, mut client) = queues::database("buffered", QUEUE);
    let producer = builder(&database.conninfo()).max_bytes(20_000).spawn().expect("up");
    let is_in = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_in.load(Ordering::SeqCst) {
                    producer.send(event(0)).expect("accepted");
                }
            });
        }
        wait_for("small events", || producer.stats().committed > 500);
        let large = OwnedEvent::new("large", "x".repeat(30_000));
        let sent = producer.send_timeout(large, Duration::from_secs(60));
        is_in.store(true, Ordering::SeqCst);
        sent.expect("accepted");
    });
    producer.close().expect("committed");
    let large =
        queues::events(&mut client, QUEUE).iter().filter(|row| row[0].as_deref() == Some("large")).count();
    assert_eq!(large, 1);
}
