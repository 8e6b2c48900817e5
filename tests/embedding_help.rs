//! Support for services with a consumer: tests of their own, hooks, a stop with a deadline, several workers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq::testing::force_tick;
use pgq::{
    Batch, BatchInfo, BoxError, Consumer, Delivered, Event, Hooks, Outcome, RetryPolicy, Settings, Worker,
};

use crate::support::{Database, queues, wait_for};

const QUEUE: &str = "queue";

/// Records events, and returns for each the outcome that its data names.
struct Obedient(Vec<String>);

impl Consumer for Obedient {
    fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        let data = event.data().unwrap_or_default();
        self.0.push(data.to_owned());
        match data {
            "retry" => Ok(Outcome::Retry(Duration::from_secs(60))),
            "fail" => Ok(Outcome::Failed("on purpose".to_owned())),
            "error" => Err("on purpose".into()),
            _ => Ok(Outcome::Done),
        }
    }
}

fn registered() -> (Database, postgres::Client) {
    let (database, mut client) = queues::database("help", QUEUE);
    pgq::admin::register_consumer(&mut client, QUEUE, "c").expect("registered");
    (database, client)
}

fn insert(client: &mut postgres::Client, data: &str) {
    pgq::insert_event(client, QUEUE, "t", data).expect("inserted");
}

#[test]
fn a_test_ticks_and_drains() {
    let (database, mut client) = registered();
    let worker = || Worker::new(&database.conninfo(), QUEUE, "c");
    let mut consumer = Obedient(Vec::new());
    for data in ["one", "two"] {
        insert(&mut client, data);
        force_tick(&mut client, QUEUE).expect("ticked");
    }
    assert_eq!(worker().run_once(&mut consumer).expect("one batch").rounds, 1);
    insert(&mut client, "three");
    force_tick(&mut client, QUEUE).expect("ticked");
    let totals = worker().drain(&mut consumer).expect("all batches");
    assert_eq!(consumer.0, ["one", "two", "three"]);
    assert_eq!(totals.count("count"), 1);
    assert_eq!(worker().drain(&mut consumer).expect("nothing").count("count"), 0);

    insert(&mut client, "error");
    force_tick(&mut client, QUEUE).expect("ticked");
    let error = worker().drain(&mut consumer).expect_err("the batch fails");
    assert!(dbscript::describe(&error).ends_with("on purpose"), "{error:?}");
}

#[test]
fn a_tick_that_cannot_be_made_is_an_error() {
    let (_database, mut client) = registered();
    assert!(force_tick(&mut client, "nope").expect_err("no queue").kind() == pgq::ErrorKind::Missing);
}

/// Notes each call of a hook.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().expect("no panic").push(note);
    }
}

impl Hooks for Notes {
    fn batch_started(&self, batch: &BatchInfo) {
        self.add(format!("batch of {} ticks", batch.tick - batch.prev_tick));
    }

    fn event_settled(&self, event: &Event, outcome: &Outcome) {
        self.add(format!("{} {outcome:?}", event.data().unwrap_or_default()));
    }

    fn event_failed(&self, event: &Event, error: &(dyn std::error::Error + 'static)) {
        self.add(format!("{} failed: {error}", event.data().unwrap_or_default()));
    }

    fn batch_finished(&self, _batch: &BatchInfo, delivered: &Delivered, _took: Duration) {
        self.add(format!("{} {} {}", delivered.events, delivered.retried, delivered.failed));
    }

    fn round_failed(&self, error: &(dyn std::error::Error + 'static)) {
        self.add(dbscript::describe(error));
    }
}

#[test]
fn hooks_are_called_for_batches_events_and_errors() {
    let (database, mut client) = registered();
    for data in ["ok", "retry", "fail"] {
        insert(&mut client, data);
    }
    force_tick(&mut client, QUEUE).expect("ticked");
    let notes = Arc::new(Notes::default());
    let worker = || Worker::new(&database.conninfo(), QUEUE, "c").hooks(notes.clone());
    worker().drain(Obedient(Vec::new())).expect("drained");
    let expected =
        ["batch of 1 ticks", "ok Done", "retry Retry(60s)", "fail Failed(\"on purpose\")", "3 1 1"];
    assert_eq!(*notes.0.lock().expect("no panic"), expected);

    insert(&mut client, "error");
    force_tick(&mut client, QUEUE).expect("ticked");
    worker().drain(Obedient(Vec::new())).expect_err("the batch fails");
    let last = notes.0.lock().expect("no panic").last().cloned().expect("a note");
    assert!(last.contains("queue `queue`, consumer `c`, batch") && last.ends_with("on purpose"), "{last}");
}

/// Reports that it is at work, and works until it is released, or for ever in the database.
struct Slow {
    at_work: Sender<()>,
    go: Receiver<()>,
    in_database: bool,
}

impl Consumer for Slow {
    fn process_event(&mut self, _event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        self.at_work.send(())?;
        if self.in_database {
            batch.db()?.batch_execute("select pg_sleep(3600)")?;
        } else {
            self.go.recv()?;
        }
        Ok(Outcome::Done)
    }
}

#[test]
fn a_stop_has_a_deadline() {
    let position = |client: &mut postgres::Client| queues::position(client, QUEUE, "c").0;
    let (database, mut client) = registered();
    let before = position(&mut client);
    insert(&mut client, "one");
    force_tick(&mut client, QUEUE).expect("ticked");
    let start = |in_database| {
        let ((at_work, received), (go, wait)) = (channel(), channel());
        let consumer = Slow { at_work, go: wait, in_database };
        let worker = Worker::new(&database.conninfo(), QUEUE, "c").spawn(consumer).expect("up");
        received.recv_timeout(Duration::from_secs(60)).expect("it is at work");
        (worker, go)
    };

    let (worker, _go) = start(true);
    assert!(worker.stop_within(Duration::from_millis(1)), "the statement is cancelled");
    worker.join().expect("ended");
    assert_eq!(position(&mut client), before);

    let (worker, go) = start(false);
    assert!(!worker.stop_within(Duration::from_millis(1)), "nobody can interrupt it");
    drop(go);
    worker.join().expect("ended");
    assert_eq!(position(&mut client), before);

    let (worker, go) = start(false);
    go.send(()).expect("it waits");
    assert!(worker.stop_within(Duration::from_secs(60)), "the batch is done");
    worker.join().expect("ended");
    assert_ne!(position(&mut client), before);
}

#[test]
fn several_workers_run_in_one_process() {
    let (database, mut client) = registered();
    let notes = Arc::new(Notes::default());
    let names = ["c", "d", "e"];
    let workers: Vec<_> = names
        .iter()
        .map(|name| {
            let mut settings = Settings::new(QUEUE, name);
            settings.retry_policy = Some(RetryPolicy::fixed(Duration::from_secs(1)).max_retries(0));
            let worker = Worker::with_settings(&database.conninfo(), settings).hooks(notes.clone());
            worker.spawn(Obedient(Vec::new())).expect("up")
        })
        .collect();
    insert(&mut client, "error");
    force_tick(&mut client, QUEUE).expect("ticked");
    let failed = |client: &mut postgres::Client| {
        names.map(|name| pgq::admin::count_failed_events(client, QUEUE, name).expect("counted"))
    };
    wait_for("each to give it up", || failed(&mut client) == [1, 1, 1]);
    let received = notes.0.lock().expect("no panic").clone();
    assert_eq!(received.iter().filter(|note| *note == "error failed: on purpose").count(), 3, "{received:?}");
    wait_for("totals", || workers.iter().all(|worker| worker.totals().count("failed-events") == 1));
}
