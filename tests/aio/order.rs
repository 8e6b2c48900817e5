//! Events of one key, which are handled in their order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq::aio::{Handlers, Worker};
use pgq::{BoxError, Event, Outcome, RetryPolicy};
use postgres::Client;
use tokio::sync::Notify;

use super::{KINDS, QUEUE, Running, database, is_done, settings};
use crate::support::{queues, wait_for};

/// Inserts events whose key is in `ev_extra1`.
fn insert(client: &mut Client, keys: i64, each: i64) {
    let insert = "select count(pgq.insert_event($1, 'type', (n / $2)::text, 'key ' || n % $2, null, null, null)) \
         from generate_series(0, $2::int8 * $3::int8 - 1) n";
    client.execute(insert, &[&QUEUE, &keys, &each]).expect("inserted");
    queues::tick(client, QUEUE);
}

#[test]
fn events_of_a_key_stay_in_order_when_some_are_retried() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 20, 30);
        let seen: Arc<Mutex<HashMap<String, Vec<i64>>>> = Arc::default();
        let ends = seen.clone();
        let failed: Arc<Mutex<HashMap<i64, u32>>> = Arc::default();
        let handlers =
            Handlers::new().concurrency(64).ordered_by(Event::extra1).on("type", move |event: Event| {
                let (ends, failed) = (ends.clone(), failed.clone());
                async move {
                    tokio::task::yield_now().await;
                    let attempts = {
                        let mut failed = failed.lock().expect("no panic");
                        *failed.entry(event.id()).and_modify(|count| *count += 1).or_insert(1)
                    };
                    if event.id() % 7 == 0 && attempts < 3 {
                        return Err::<(), BoxError>("not yet".into());
                    }
                    let key = event.extra1().unwrap_or_default().to_owned();
                    let number = event.data().unwrap_or_default().parse()?;
                    ends.lock().expect("no panic").entry(key).or_default().push(number);
                    Ok(())
                }
            });
        let policy = RetryPolicy::fixed(Duration::from_millis(5)).max_retries(5);
        let worker = Worker::with_settings(&database.conninfo(), settings()).retry(policy);
        let running = Running::start(worker, handlers);
        wait_for("the end of all events", || is_done(&mut client));
        running.end().expect("stopped");
        let seen = seen.lock().expect("no panic");
        assert_eq!(seen.len(), 20);
        for (key, numbers) in &*seen {
            assert_eq!(*numbers, (0..30).collect::<Vec<i64>>(), "{kind:?} {key}");
        }
    }
}

#[test]
fn a_slow_event_delays_its_key_only() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 50, 4);
    let (seen, release) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let (ends, held) = (seen.clone(), release.clone());
    let handlers =
        Handlers::new().concurrency(4).ordered_by(Event::extra1).on("type", move |event: Event| {
            let (ends, held) = (ends.clone(), held.clone());
            async move {
                let key = event.extra1().unwrap_or_default().to_owned();
                if key == "key 0" && event.data() == Some("0") {
                    held.notified().await;
                }
                ends.lock().expect("no panic").push(key);
                Ok::<_, BoxError>(())
            }
        });
    let running = Running::start(Worker::with_settings(&database.conninfo(), settings()), handlers);
    wait_for("all events of other keys", || seen.lock().expect("no panic").len() == 49 * 4);
    assert!(!seen.lock().expect("no panic").iter().any(|key| key == "key 0"));
    release.notify_one();
    wait_for("the end of all events", || is_done(&mut client));
    running.end().expect("stopped");
    assert_eq!(seen.lock().expect("no panic").len(), 200);
}

#[test]
fn events_that_wait_for_another_call_are_limited() {
    const MOST: usize = 4096;
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 10_000, 1);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let handlers = Handlers::new().concurrency(8).ordered_by(Event::extra1).on("type", move |_: Event| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, BoxError>(Outcome::Retry(Duration::from_secs(3600))) }
    });
    let worker = Worker::with_settings(&database.conninfo(), settings()).shutdown_limit(Duration::ZERO);
    let running = Running::start(worker, handlers);
    wait_for("as many calls as may wait", || calls.load(Ordering::SeqCst) >= MOST);
    running.end().expect("stopped");
    let calls = calls.load(Ordering::SeqCst);
    assert!(calls <= MOST + 8, "{calls} events were called");
}
