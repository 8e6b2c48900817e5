//! Handlers of many events at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgq::aio::{Handlers, Json, Worker};
use pgq::consume::Unknown;
use pgq::{BoxError, Event, Outcome, RetryPolicy};
use serde::Deserialize;
use tokio::sync::{Barrier, mpsc};

use super::{KINDS, QUEUE, Running, database, insert, is_done, settings};
use crate::support::{queues, wait_for};

#[test]
fn as_many_events_run_at_once_as_was_asked_for() {
    const AT_ONCE: usize = 25;
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 4 * AT_ONCE as i64);
        // A handler ends only when so many run, and never more.
        let barrier = Arc::new(Barrier::new(AT_ONCE));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (now, most.clone());
        let handlers = Handlers::new().concurrency(AT_ONCE).on("type", move |_: Event| {
            let (barrier, (now, most)) = (barrier.clone(), counts.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, BoxError>(())
            }
        });
        let running = Running::start(Worker::with_settings(&database.conninfo(), settings()), handlers);
        wait_for("the end of all events", || is_done(&mut client));
        running.end().expect("stopped");
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE, "{kind:?}");
    }
}

#[derive(Deserialize)]
struct Paid {
    order: i64,
}

/// Makes handlers of four types, each of which decides in another way.
fn deciding(sender: mpsc::UnboundedSender<(i64, String)>) -> Handlers {
    Handlers::new()
        .on("paid", move |Json(paid): Json<Paid>, event: Event| {
            let sent = sender.send((paid.order, event.event_type().to_owned()));
            async move { sent }
        })
        .on("refused", |event: Event| async move {
            Ok::<_, BoxError>(Outcome::Failed(event.data().unwrap_or_default().to_owned()))
        })
        .on("panics", |_: Event| async move {
            if true {
                panic!("a panic");
            }
            Ok::<_, BoxError>(())
        })
        .unknown(Unknown::Fail)
}

#[test]
fn handlers_get_what_they_ask_for_and_decide_about_the_event() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let mut transaction = client.transaction().expect("begun");
        for (kind, data) in [
            ("paid", r#"{"order": 7}"#),
            ("paid", "no JSON"),
            ("refused", "a reason"),
            ("panics", "x"),
            ("unknown", "y"),
        ] {
            pgq::insert_event(&mut transaction, QUEUE, kind, data).expect("inserted");
        }
        transaction.commit().expect("committed");
        queues::tick(&mut client, QUEUE);
        let (sender, mut paid) = mpsc::unbounded_channel();
        let handlers = deciding(sender);
        let policy = RetryPolicy::fixed(Duration::ZERO).max_retries(0);
        let worker = Worker::with_settings(&database.conninfo(), settings()).retry(policy);
        let running = Running::start(worker, handlers);
        wait_for("the end of all events", || is_done(&mut client));
        running.end().expect("stopped");
        assert_eq!(paid.try_recv().ok(), Some((7, "paid".to_owned())));
        let rows = client.query("select ev_failed_reason from pgq.failed_queue order by ev_id", &[]);
        let reasons: Vec<String> = rows.expect("readable").iter().map(|row| row.get(0)).collect();
        assert_eq!(reasons.len(), 4, "{kind:?}: {reasons:?}");
        assert!(reasons[0].contains("JSON") && reasons[0].contains("event"), "{reasons:?}");
        assert_eq!(reasons[1], "a reason");
        assert!(reasons[2].contains("a panic"), "{reasons:?}");
        assert_eq!(reasons[3], "there is no handler of `unknown`");
    }
}

#[test]
fn without_a_policy_a_failure_delivers_the_batch_again() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, 10);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let handlers = Handlers::new().concurrency(1).on("type", move |event: Event| {
        let fails = counter.fetch_add(1, Ordering::SeqCst) == 4;
        async move { if fails { Err(format!("event {}", event.id())) } else { Ok(()) } }
    });
    let running = Running::start(Worker::with_settings(&database.conninfo(), settings()), handlers);
    wait_for("the end of all events", || is_done(&mut client));
    running.end().expect("stopped");
    assert_eq!(calls.load(Ordering::SeqCst), 5 + 10);
}
