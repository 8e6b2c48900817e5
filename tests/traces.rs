//! Spans of batches and events.

mod asynchronous;
mod blocking;
mod contexts;

use std::time::Duration;

use pgq::schema::Kind;
use pgq::{BoxError, Outcome, RetryPolicy, Settings};
use postgres::Client;
use tokio::runtime::{Builder, Runtime};
use tracing::Level;

use crate::support::spans::{Span, capture};
use crate::support::{Database, queues, templates};

const QUEUE: &str = "orders";
const CONSUMER: &str = "billing";

fn database() -> (Database, Client) {
    database_of(Kind::Own)
}

fn database_of(kind: Kind) -> (Database, Client) {
    let (database, mut client) = templates::installed(kind, "traces");
    queues::create(&mut client, QUEUE);
    pgq::admin::register_consumer(&mut client, QUEUE, CONSUMER).expect("registered");
    (database, client)
}

fn settings() -> Settings {
    Settings::new(QUEUE, CONSUMER)
}

/// Makes a runtime whose tasks run on this thread, which has the subscriber.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Inserts an event of each type, which decides its outcome, and makes a tick. Returns the ids.
fn insert(client: &mut Client, types: &[&str]) -> Vec<i64> {
    let ids = types.iter().map(|event_type| pgq::insert_event(client, QUEUE, event_type, "x"));
    let ids = ids.collect::<Result<_, _>>().expect("inserted");
    queues::tick(client, QUEUE);
    ids
}

const TYPES: [&str; 5] = ["done", "retried", "failed", "error", "panic"];

fn decide(event_type: &str) -> Result<Outcome, BoxError> {
    match event_type {
        "done" => Ok(Outcome::Done),
        "retried" => Ok(Outcome::Retry(Duration::from_millis(1500))),
        "failed" => Ok(Outcome::Failed("no stock".to_owned())),
        "error" => Err(dbscript::Error::failed("cannot print").caused_by("no ink").into()),
        _ => panic!("a panic"),
    }
}

/// Runs code with a policy that retries, and one that gives up, and checks the spans of a batch with an event of each
/// type.
fn check_policies(mut code: impl FnMut(&str, Settings)) {
    let (database, mut client) = database();
    let policy = RetryPolicy::fixed(Duration::from_secs(7));
    for (policy, check_outcomes) in
        [(policy.clone(), check_retried as fn(&[Span])), (policy.max_retries(0), check_given_up)]
    {
        let ids = insert(&mut client, &TYPES);
        let mut settings = settings();
        settings.retry_policy = Some(policy);
        let spans = capture(|| code(&database.conninfo(), settings));
        check_fields(&spans, &ids);
        check_outcomes(&spans);
    }
}

fn check_fields(spans: &[Span], ids: &[i64]) {
    let parents: Vec<_> = spans.iter().map(|span| (span.name, span.target, span.parent)).collect();
    let mut expected = vec![("batch", "pgq::batch", None)];
    expected.extend([("event", "pgq::event", Some(0)); TYPES.len()]);
    assert_eq!(parents, expected);
    let batch = spans[0].fields.get("batch");
    assert!(!batch.is_empty());
    for span in spans {
        assert!(span.is_closed, "{span:?}");
        let names = ["queue", "consumer", "subconsumer", "batch"];
        assert_eq!(span.fields.all(names), [QUEUE, CONSUMER, "", batch]);
    }
    for ((span, id), event_type) in spans[1..].iter().zip(ids).zip(TYPES) {
        assert_eq!(span.fields.all(["event", "type", "retry"]), [&id.to_string(), event_type, "0"]);
    }
    assert_eq!(spans[0].fields.all(["events", "outcome"]), ["5", "finished"]);
}

fn outcome(span: &Span) -> [&str; 3] {
    span.fields.all(["outcome", "delay_seconds", "reason"])
}

/// Returns the level and the text of the only error.
fn error(span: &Span) -> (Level, &str) {
    assert_eq!(span.events.len(), 1, "{span:?}");
    (span.events[0].0, span.events[0].1.get("error"))
}

fn check_retried(spans: &[Span]) {
    assert_eq!(spans[0].fields.all(["retried", "failed"]), ["3", "1"]);
    assert_eq!(outcome(&spans[1]), ["done", "", ""]);
    assert_eq!(outcome(&spans[2]), ["retry", "1.5", ""]);
    assert_eq!(outcome(&spans[3]), ["failed", "", "no stock"]);
    assert_eq!(outcome(&spans[4]), ["retry", "7.0", ""]);
    assert_eq!(outcome(&spans[5]), ["retry", "7.0", ""]);
    assert!(spans[..4].iter().all(|span| span.events.is_empty()), "{spans:?}");
    assert_eq!(error(&spans[4]), (Level::WARN, "cannot print: no ink"));
    let (level, text) = error(&spans[5]);
    assert!(level == Level::WARN && text.contains("a panic"), "{text}");
}

fn check_given_up(spans: &[Span]) {
    assert_eq!(spans[0].fields.all(["retried", "failed"]), ["0", "4"]);
    let [of_retry, _, reason] = outcome(&spans[2]);
    assert!(of_retry == "failed" && reason.contains("limit of 0 retries"), "{reason}");
    assert_eq!(outcome(&spans[4]), ["failed", "", "cannot print: no ink"]);
    assert_eq!(error(&spans[4]), (Level::ERROR, "cannot print: no ink"));
    assert_eq!((error(&spans[5]).0, outcome(&spans[5])[0]), (Level::ERROR, "failed"));
}

/// Checks the spans of a batch whose only event fails without a policy.
fn check_failed(spans: &[Span]) {
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert_eq!(outcome(&spans[1]), ["error", "", ""]);
    assert_eq!(error(&spans[1]), (Level::ERROR, "cannot print: no ink"));
    assert_eq!(outcome(&spans[0]), ["error", "", ""]);
    let (level, text) = error(&spans[0]);
    assert!(level == Level::ERROR && text.starts_with("cannot process the event"), "{text}");
}
