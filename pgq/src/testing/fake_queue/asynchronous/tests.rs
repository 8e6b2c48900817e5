//! Tests of asynchronous handlers without a server.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{advance, sleep};

use super::*;
use crate::aio::{Batch, Consumer, Handlers, Json, Origin};
use crate::consume::outcome::Outcome;
use crate::consume::retry_policy::RetryPolicy;
use crate::event::new_event::NewEvent;
use crate::event::stored_event::Event;

const SECOND: Duration = Duration::from_secs(1);

fn queue_of(events: i64) -> FakeQueue {
    let mut queue = FakeQueue::new("q");
    for number in 1..=events {
        queue.insert(&NewEvent::new("n", number.to_string()).extra1(format!("key {}", number % 2)));
    }
    queue
}

/// Makes handlers that take a second for each event.
fn slow() -> Handlers {
    Handlers::new().on("n", |_: Event| async {
        sleep(SECOND).await;
        Ok::<_, BoxError>(())
    })
}

#[tokio::test(start_paused = true)]
async fn as_many_events_run_at_once_as_was_asked_for() {
    let before = Instant::now();
    let processed = queue_of(10).deliver_async(&mut slow().concurrency(4)).await.expect("no error");
    assert_eq!(processed.done, (1..=10).collect::<Vec<i64>>());
    assert_eq!(before.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_key_is_retried_in_its_place() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let mut handlers = Handlers::new().ordered_by(Event::extra1).on("n", move |event: Event| {
        let mut seen = seen.lock().expect("no panic");
        seen.push(event.id());
        let fails = event.id() == 2 && seen.iter().filter(|id| **id == 2).count() < 3;
        async move { if fails { Err("not yet") } else { Ok(()) } }
    });
    let mut queue = queue_of(6).retry_policy(RetryPolicy::exponential(SECOND));
    let before = Instant::now();
    let processed = queue.deliver_async(&mut handlers).await.expect("no error");
    assert_eq!(processed.done, [1, 2, 3, 4, 5, 6]);
    assert_eq!(before.elapsed().as_secs(), 1 + 2);
    let mut calls = calls.lock().expect("no panic").clone();
    calls.retain(|id| id % 2 == 0);
    assert_eq!(calls, [2, 2, 2, 4, 6]);
}

#[tokio::test(start_paused = true)]
async fn both_clocks_make_a_retry_due() {
    let mut handlers = Handlers::new().on("n", |event: Event| {
        ready(Ok::<_, BoxError>(if event.retry() < 3 { Outcome::Retry(3 * SECOND) } else { Outcome::Done }))
    });
    let mut queue = queue_of(1);
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").retried, [(1, 3 * SECOND)]);
    advance(2 * SECOND).await;
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").events, 0);
    advance(SECOND).await;
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").retried.len(), 1);
    queue.advance(3 * SECOND);
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").retried.len(), 1);
    queue.advance(SECOND);
    sleep(2 * SECOND).await;
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").done, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_due_after_the_end_of_its_batch() {
    let mut handlers = Handlers::new().on("n", |event: Event| async move {
        sleep(10 * SECOND).await;
        Ok::<_, BoxError>(if event.retry() == 0 { Outcome::Retry(5 * SECOND) } else { Outcome::Done })
    });
    let mut queue = queue_of(1);
    queue.deliver_async(&mut handlers).await.expect("no error");
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").events, 0);
    queue.advance(5 * SECOND);
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").done, [1]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_started_at_a_stop_is_put_back() {
    let (mut queue, mut handlers) = (queue_of(10), slow().concurrency(2));
    let stop = sleep(SECOND / 2);
    let processed = queue.deliver_until(&mut handlers, stop).await.expect("no error");
    assert_eq!(processed.done, [1, 2]);
    let put_back: Vec<(i64, Duration)> = (3..=10).map(|id| (id, Duration::ZERO)).collect();
    assert_eq!(processed.retried, put_back);
    let processed = queue.deliver_until(&mut handlers, ready(())).await.expect("no error");
    assert_eq!((processed.done, processed.retried), (Vec::new(), put_back));
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").done.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn at_a_stop_an_order_is_kept_until_the_limit() {
    let mut handlers = slow().ordered_by(Event::extra1);
    let processed = queue_of(10).deliver_until(&mut handlers, ready(())).await.expect("no error");
    assert_eq!(processed.done.len(), 10);

    let mut queue = queue_of(100);
    let processed = queue.deliver_until(&mut handlers, ready(())).await.expect("no error");
    assert_eq!(processed, Processed::default());
    assert_eq!(queue.deliver_async(&mut handlers).await.expect("no error").done.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn handlers_get_what_they_ask_for() {
    let mut queue = queue_of(2);
    queue.insert(&NewEvent::new("n", "no number"));
    let mut queue = queue.retry_policy(RetryPolicy::fixed(SECOND).max_retries(0));
    let mut handlers = Handlers::new().on("n", |Json(number): Json<i64>, event: Event, origin: Origin| {
        assert_eq!((origin.queue(), origin.batch().id, event.id()), ("q", 1, number));
        ready(Ok::<_, BoxError>(()))
    });
    let processed = queue.deliver_async(&mut handlers).await.expect("no error");
    assert_eq!((processed.done, processed.failed.len()), (vec![1, 2], 1));
    assert!(processed.failed[0].1.contains("JSON"), "{:?}", processed.failed);
}

/// Uses the database for event 2.
struct Writer;

impl Consumer for Writer {
    async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
        match event.id() {
            2 => batch.db().await.map(|_| Outcome::Done).map_err(BoxError::from),
            3 => panic!("never"),
            _ => Ok(Outcome::Done),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_called_until_it_needs_a_database() {
    let policy = RetryPolicy::fixed(SECOND).max_retries(0);
    let mut queue = queue_of(1).retry_policy(policy);
    assert_eq!(queue.deliver_async(&mut Writer).await.expect("no error").done, [1]);
    queue.insert(&NewEvent::new("n", "2"));
    let error = queue.deliver_async(&mut Writer).await.expect_err("no database");
    assert_eq!(
        dbscript::describe(&*error),
        "cannot process the event (queue `q`, consumer `test`, batch 2, event 2): no transaction is open: the consumer \
         runs with autocommit, or without a server"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_a_consumer_counts_a_panic_against_its_event() {
    let mut queue = queue_of(3).retry_policy(RetryPolicy::fixed(SECOND).max_retries(0));
    queue.pending.retain(|event| event.id != 2);
    let processed = queue.deliver_async(&mut Writer).await.expect("the policy decides");
    assert_eq!((processed.done, processed.failed.len()), (vec![1], 1));
}
