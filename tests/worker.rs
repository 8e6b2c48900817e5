//! Consumers on threads of their own.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use pgq::{Batch, BoxError, Consumer, Event, Events, Outcome, Settings, Worker};
use pgq_ext::{RemoteConsumer, RemoteHandler};
use postgres::Transaction;

use crate::support::{Database, queues, wait_for};

const QUEUE: &str = "queue";
const SHORT: Duration = Duration::from_millis(10);

/// Sends the data of events, and fails at an event the first time it sees it.
struct Reporter {
    out: Sender<String>,
    fail_once: Option<&'static str>,
}

impl Consumer for Reporter {
    fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        let data = event.data().unwrap_or_default();
        if self.fail_once.is_some_and(|bad| bad == data) {
            self.fail_once = None;
            return Err("out of luck".into());
        }
        self.out.send(data.to_owned())?;
        Ok(Outcome::Done)
    }
}

fn reporter(fail_once: Option<&'static str>) -> (Reporter, Receiver<String>) {
    let (out, received) = channel();
    (Reporter { out, fail_once }, received)
}

fn receive(received: &Receiver<String>, count: usize) -> Vec<String> {
    let limit = Duration::from_secs(60);
    (0..count).map(|_| received.recv_timeout(limit).expect("the worker reports")).collect()
}

#[test]
fn a_worker_takes_events_and_stops() {
    let (database, mut client) = queues::database("worker", QUEUE);
    let (consumer, received) = reporter(None);
    let worker =
        Worker::new(&database.conninfo(), QUEUE, "worker").loop_delay(SHORT).spawn(consumer).expect("up");
    queues::insert(&mut client, QUEUE, 0, 10);
    queues::tick(&mut client, QUEUE);
    let expected: Vec<String> = (0..10).map(|n| format!("event {n}")).collect();
    assert_eq!(receive(&received, 10), expected);
    assert!(!worker.is_finished());
    worker.stop();
    worker.join().expect("stopped");
    assert!(received.recv().is_err(), "the consumer is gone");
}

#[test]
fn a_failed_batch_is_delivered_again() {
    let (database, mut client) = queues::database("again", QUEUE);
    let (consumer, received) = reporter(Some("event 5"));
    let worker = Worker::new(&database.conninfo(), QUEUE, "worker").loop_delay(SHORT).exception_sleep(SHORT);
    let worker = worker.spawn(consumer).expect("up");
    queues::insert(&mut client, QUEUE, 0, 10);
    queues::tick(&mut client, QUEUE);
    let received = receive(&received, 15);
    assert_eq!(received[5], "event 0");
    assert_eq!(received[14], "event 9");
    drop(worker);
}

#[test]
fn a_worker_that_cannot_start_reports_the_reason() {
    let (database, _client) = queues::database("why", QUEUE);
    let (consumer, _told) = reporter(None);
    let error = Worker::new(&database.conninfo(), "nope", "worker").spawn(consumer).err().expect("no queue");
    assert!(dbscript::describe(&error).contains("queue `nope` does not exist"), "{error:?}");
    let (consumer, _told) = reporter(None);
    let error =
        Worker::new("host=/no/such/folder", QUEUE, "worker").spawn(consumer).err().expect("no server");
    assert!(error.is_connection(), "{error:?}");
}

#[test]
fn an_abort_cancels_the_running_statement() {
    struct Sleeper;
    impl Consumer for Sleeper {
        fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
            batch.db()?.execute("select pg_sleep(3600)", &[])?;
            Ok(())
        }
    }
    let (database, mut client) = queues::database("abort", QUEUE);
    let worker =
        Worker::new(&database.conninfo(), QUEUE, "sleeper").loop_delay(SHORT).spawn(Sleeper).expect("up");
    queues::tick(&mut client, QUEUE);
    wait_for("the sleep", || {
        let sql = "select count(*) > 0 from pg_stat_activity where query like '%sleep(3600)' and state = 'active' \
                   and datname = current_database() and application_name = 'sleeper'";
        client.query_one(sql, &[]).expect("readable").get(0)
    });
    worker.abort();
    worker.join().expect("ended");
    assert!(queues::position(&mut client, QUEUE, "sleeper").1.is_some(), "the batch stays open");
}

#[test]
fn a_worker_outlives_its_connection() {
    let (database, mut client) = queues::database("outlive", QUEUE);
    let (consumer, received) = reporter(None);
    let worker = Worker::new(&database.conninfo(), QUEUE, "lively").loop_delay(SHORT).exception_sleep(SHORT);
    let worker = worker.spawn(consumer).expect("up");
    for n in 0..3 {
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                    where application_name = 'lively' and datname = current_database()";
        client.query(kill, &[]).expect("the superuser may");
        queues::insert(&mut client, QUEUE, n, 1);
        let tick = queues::tick(&mut client, QUEUE);
        assert_eq!(receive(&received, 1), [format!("event {n}")]);
        wait_for("the batch to be finished", || {
            queues::position(&mut client, QUEUE, "lively") == (tick, None)
        });
    }
    drop(worker);
}

struct Apply;

impl RemoteHandler for Apply {
    fn process_remote_event(&mut self, event: &Event, dst: &mut Transaction<'_>) -> Result<(), BoxError> {
        dst.execute("insert into applied values ($1)", &[&event.data()])?;
        Ok(())
    }
}

fn applied(dst: &mut postgres::Client) -> i64 {
    dst.query_one("select count(*) from applied", &[]).expect("readable").get(0)
}

#[test]
fn a_remote_consumer_applies_each_batch_once() {
    let (source, mut client) = queues::database("remote_src", QUEUE);
    let target = Database::create("remote_dst");
    let mut dst = target.client();
    dst.batch_execute("create table applied (data text)").expect("created");
    let spawn = || {
        Worker::with_settings(&source.conninfo(), Settings::new(QUEUE, "remote"))
            .database("dst", &target.conninfo())
            .loop_delay(SHORT)
            .spawn(RemoteConsumer::new("remote", "dst", Apply))
    };
    let error = spawn().err().expect("no schema");
    let text = dbscript::describe(&error);
    assert!(
        text.contains("schema `pgq_ext` is not installed") && text.contains("pgq_ext::schema::install"),
        "{text}"
    );
    pgq_ext::schema::install(&mut dst).expect("installed");

    let worker = spawn().expect("up");
    queues::insert(&mut client, QUEUE, 0, 10);
    let tick = queues::tick(&mut client, QUEUE);
    wait_for("the batch", || queues::position(&mut client, QUEUE, "remote") == (tick, None));
    drop(worker);
    assert_eq!(applied(&mut dst), 10);

    // A batch that the target has recorded is only finished.
    queues::insert(&mut client, QUEUE, 10, 10);
    let tick = queues::tick(&mut client, QUEUE);
    let batch: i64 =
        client.query_one("select pgq.next_batch($1, 'remote')", &[&QUEUE]).expect("a batch").get(0);
    assert!(pgq_ext::Tracker::new("remote").set_batch_done(&mut dst, batch).expect("recorded"));
    let worker = spawn().expect("up");
    wait_for("the batch", || queues::position(&mut client, QUEUE, "remote") == (tick, None));
    drop(worker);
    assert_eq!(applied(&mut dst), 10);
}

#[test]
fn a_remote_batch_that_fails_leaves_nothing_on_the_target() {
    struct Fail(Sender<u64>);
    impl RemoteHandler for Fail {
        fn process_remote_batch(
            &mut self,
            events: &mut Events<'_>,
            dst: &mut Transaction<'_>,
        ) -> Result<(), BoxError> {
            events.copy_to(dst, QUEUE)?;
            self.0.send(events.count())?;
            Err("second thoughts".into())
        }
    }
    let (source, mut client) = queues::database("fail_src", QUEUE);
    let (target, mut dst) = queues::database("fail_dst", QUEUE);
    let (out, received) = channel();
    let worker = Worker::new(&source.conninfo(), QUEUE, "failing")
        .database("dst", &target.conninfo())
        .loop_delay(SHORT)
        .exception_sleep(SHORT)
        .spawn(RemoteConsumer::new("failing", "dst", Fail(out)))
        .expect("up");
    queues::insert(&mut client, QUEUE, 0, 10);
    queues::tick(&mut client, QUEUE);
    let limit = Duration::from_secs(60);
    assert_eq!([received.recv_timeout(limit), received.recv_timeout(limit)], [Ok(10), Ok(10)]);
    drop(worker);
    assert_eq!(queues::count(&mut dst, QUEUE), 0);
}
