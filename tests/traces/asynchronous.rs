//! Spans of asynchronous consumers.

use std::error::Error;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgq::aio::{Batch, Consumer, Delivery, Handlers, Worker};
use pgq::{BatchInfo, BoxError, Delivered, Event, Hooks, Outcome, RetryPolicy};
use tokio::sync::{Barrier, Notify};
use tracing::{Level, info};

use super::{
    CONSUMER, QUEUE, TYPES, check_failed, check_policies, database, decide, error, insert, outcome, runtime,
    settings,
};
use crate::support::spans::capture;
use crate::support::{Database, queues};

/// Is notified of the end of a batch, and counts the events that have failed in it.
#[derive(Default)]
struct Ended {
    ended: Notify,
    failed: AtomicUsize,
}

impl Hooks for Ended {
    fn event_failed(&self, _: &Event, _: &(dyn Error + 'static)) {
        self.failed.fetch_add(1, Ordering::SeqCst);
    }

    fn batch_finished(&self, _: &BatchInfo, _: &Delivered, _: Duration) {
        self.ended.notify_one();
    }

    fn round_failed(&self, _: &(dyn Error + 'static)) {
        self.ended.notify_one();
    }
}

/// Runs a worker on this thread until the end of its first batch. Returns how many events have failed.
pub(super) fn run(worker: Worker, delivery: impl Delivery) -> usize {
    let hooks = Arc::new(Ended::default());
    let worker = worker.hooks(hooks.clone());
    runtime().block_on(worker.run_until(delivery, hooks.ended.notified())).expect("no final error");
    hooks.failed.load(Ordering::SeqCst)
}

struct Deciding;

impl Consumer for Deciding {
    async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
        batch.db().await?.execute("select", &[]).await?;
        decide(event.event_type())
    }
}

fn handlers() -> Handlers {
    TYPES.into_iter().fold(Handlers::new(), |handlers, event_type| {
        handlers.on(event_type, move |_: Event| async move {
            tokio::task::yield_now().await;
            decide(event_type)
        })
    })
}

#[test]
fn each_event_has_a_span_with_its_outcome() {
    check_policies(|conninfo, settings| {
        assert_eq!(run(Worker::with_settings(conninfo, settings), Deciding), 2);
    });
    check_policies(|conninfo, settings| {
        assert_eq!(run(Worker::with_settings(conninfo, settings), handlers()), 2);
    });
}

#[test]
fn without_a_policy_event_and_batch_have_the_error() {
    let (database, mut client) = database();
    insert(&mut client, &["error"]);
    let worker = || Worker::with_settings(&database.conninfo(), settings());
    check_failed(&capture(|| assert_eq!(run(worker(), Deciding), 0)));
    check_failed(&capture(|| assert_eq!(run(worker(), handlers()), 0)));
}

#[test]
fn handlers_at_once_have_their_own_spans() {
    const EVENTS: usize = 8;
    let (database, mut client) = database();
    insert(&mut client, &["x"; EVENTS]);
    let barrier = Arc::new(Barrier::new(EVENTS));
    let handlers = Handlers::new().concurrency(EVENTS).on("x", move |event: Event| {
        info!(id = event.id());
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            info!(id = event.id());
            barrier.wait().await;
            info!(id = event.id());
            Ok::<_, BoxError>(())
        }
    });
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let spans = capture(|| assert_eq!(run(worker, handlers), 0));
    assert_eq!(spans.len(), 1 + EVENTS);
    assert_eq!(spans[0].events, []);
    for span in &spans[1..] {
        let logged: Vec<_> = span.events.iter().map(|(_, fields)| fields.get("id")).collect();
        assert_eq!(logged, [span.fields.get("event"); 3]);
    }
}

#[test]
fn each_call_of_an_ordered_event_has_a_span() {
    let (database, mut client) = database();
    insert(&mut client, &["x"]);
    let calls = AtomicUsize::new(0);
    let handlers = Handlers::new().ordered_by(|_| Some("key")).on("x", move |_: Event| {
        let is_first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if is_first { Err("not yet") } else { Ok(()) } }
    });
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let worker = worker.retry(RetryPolicy::fixed(Duration::ZERO));
    let spans = capture(|| assert_eq!(run(worker, handlers), 1));
    assert_eq!((spans.len(), error(&spans[1]).1), (3, "not yet"));
    assert_eq!([outcome(&spans[1])[0], outcome(&spans[2])[0]], ["retry", "done"]);
}

#[test]
fn an_event_that_cannot_be_read_has_a_span() {
    let (database, mut client) = Database::create_encoded("SQL_ASCII", "traces");
    queues::install(&mut client);
    queues::create(&mut client, QUEUE);
    pgq::admin::register_consumer(&mut client, QUEUE, CONSUMER).expect("registered");
    client.batch_execute("select pgq.insert_event('orders', 'done', E'caf\\xe9')").expect("inserted");
    queues::tick(&mut client, QUEUE);
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let worker = worker.retry(RetryPolicy::fixed(Duration::ZERO).max_retries(0));
    let spans = capture(|| assert_eq!(run(worker, Deciding), 1));
    let reason = "cannot read the event: `ev_data` is not UTF-8";
    assert_eq!(outcome(&spans[1]), ["failed", "", reason]);
    assert_eq!(error(&spans[1]), (Level::ERROR, reason));
}

#[test]
fn a_batch_that_is_given_up_at_shutdown_shows_it() {
    let (database, mut client) = database();
    insert(&mut client, &["x"]);
    let started = Arc::new(Notify::new());
    let starts = started.clone();
    let handlers = Handlers::new().on("x", move |_: Event| {
        starts.notify_one();
        pending::<Result<(), BoxError>>()
    });
    let worker = Worker::with_settings(&database.conninfo(), settings()).shutdown_limit(Duration::ZERO);
    let spans = capture(|| {
        runtime().block_on(worker.run_until(handlers, started.notified())).expect("no final error");
    });
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert_eq!((outcome(&spans[0])[0], outcome(&spans[1])[0]), ("redelivered", ""));
    assert!(spans[1].is_closed);
}
