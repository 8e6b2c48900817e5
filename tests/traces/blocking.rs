//! Spans of blocking consumers.

use std::time::Duration;

use pgq::consume::Unknown;
use pgq::{
    Batch, BoxError, Consumer, Event, LocalConsumer, LocalHandler, Outcome, RetryPolicy, Router, Worker,
};

use tracing::Level;

use super::{TYPES, check_failed, check_policies, database, decide, error, insert, outcome, settings};
use crate::support::spans::capture;

fn router() -> Router {
    TYPES.into_iter().fold(Router::new(Unknown::Error), |router, event_type| {
        router.on(event_type, move |_, _| decide(event_type))
    })
}

#[test]
fn each_event_has_a_span_with_its_outcome() {
    check_policies(|conninfo, settings| {
        Worker::with_settings(conninfo, settings).drain(router()).expect("the policy decides");
    });
}

#[test]
fn without_a_policy_event_and_batch_have_the_error() {
    let (database, mut client) = database();
    insert(&mut client, &["error"]);
    let worker = Worker::with_settings(&database.conninfo(), settings());
    check_failed(&capture(|| drop(worker.run_once(router()).expect_err("no policy"))));
}

struct Raising;

impl Consumer for Raising {
    fn process_event(&mut self, _event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        batch.db()?.batch_execute("do $$ begin raise 'refused' using detail = 'row 4711'; end $$")?;
        Ok(Outcome::Done)
    }
}

#[test]
fn values_of_rows_stay_in_the_database() {
    let (database, mut client) = database();
    insert(&mut client, &["x"]);
    let mut settings = settings();
    settings.retry_policy = Some(RetryPolicy::fixed(Duration::from_secs(7)).max_retries(0));
    let worker = Worker::with_settings(&database.conninfo(), settings);
    let spans = capture(|| drop(worker.drain(Raising).expect("the policy decides")));
    assert_eq!(error(&spans[1]), (Level::ERROR, "ERROR P0001: refused"));
    assert_eq!(outcome(&spans[1]), ["failed", "", "ERROR P0001: refused"]);
    let kept = "select ev_failed_reason from pgq.failed_queue";
    let reason: String = client.query_one(kept, &[]).expect("a failed event").get(0);
    assert!(reason.contains("row 4711"), "{reason}");
}

struct GivingBack;

impl Consumer for GivingBack {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        batch.redeliver();
        Ok(())
    }
}

#[test]
fn a_batch_that_is_given_back_shows_it() {
    let (database, mut client) = database();
    insert(&mut client, &["x"]);
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let spans = capture(|| drop(worker.run_once(GivingBack).expect("no error")));
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(outcome(&spans[0]), ["redelivered", "", ""]);
}

struct Local;

impl LocalHandler for Local {
    fn process_local_event(&mut self, event: &Event) -> Result<(), BoxError> {
        decide(event.event_type()).map(drop)
    }
}

#[test]
fn the_events_of_a_local_consumer_have_spans() {
    let (database, mut client) = database();
    let folder = tempfile::tempdir().expect("a folder");
    let run = || {
        let consumer = LocalConsumer::new(folder.path().join("position"), Local);
        Worker::with_settings(&database.conninfo(), settings()).run_once(consumer)
    };
    // The first round records the position.
    run().expect("no event");
    insert(&mut client, &["done"]);
    let spans = capture(|| drop(run().expect("no error")));
    assert_eq!((spans.len(), outcome(&spans[1])[0]), (2, "done"));
    insert(&mut client, &["error"]);
    let spans = capture(|| drop(run().expect_err("no policy")));
    assert_eq!((spans.len(), outcome(&spans[1])[0]), (2, "error"));
}
