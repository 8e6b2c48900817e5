//! The end of a worker amid a batch.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq::aio::{Batch, Consumer, Handlers, Worker};
use pgq::{BoxError, Event, Outcome};
use tokio::sync::{Notify, Semaphore};

use super::{Applied, KINDS, QUEUE, Running, database, effects, expected, insert, is_done, settings};
use crate::support::{queues, wait_for};

/// Makes handlers that note each event, and after so many wait for a permit.
fn noting(seen: &Arc<Mutex<Vec<String>>>, free: usize, permits: &Arc<Semaphore>) -> Handlers {
    let (seen, permits) = (seen.clone(), permits.clone());
    let count = AtomicUsize::new(0);
    Handlers::new().concurrency(4).on("type", move |event: Event| {
        let waits = count.fetch_add(1, Ordering::SeqCst) >= free;
        let (seen, permits) = (seen.clone(), permits.clone());
        async move {
            if waits {
                permits.acquire().await?.forget();
            }
            seen.lock().expect("no panic").push(event.data().unwrap_or_default().to_owned());
            Ok::<_, BoxError>(())
        }
    })
}

#[test]
fn what_was_not_started_is_delivered_later_and_what_was_handled_is_not() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 1000);
        let (seen, permits) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let handlers = noting(&seen, 100, &permits);
        let mut running = Running::start(Worker::with_settings(&database.conninfo(), settings()), handlers);
        wait_for("some events", || seen.lock().expect("no panic").len() >= 100);
        drop(running.stop.take());
        wait_for("the worker", || running.is_stopping.load(Ordering::SeqCst));
        permits.add_permits(4);
        running.end().expect("stopped");
        assert_eq!(seen.lock().expect("no panic").len(), 104, "{kind:?}");
        let handlers = noting(&seen, 2000, &permits);
        let running = Running::start(Worker::with_settings(&database.conninfo(), settings()), handlers);
        wait_for("the end of all events", || {
            client.execute("select pgq.maint_retry_events()", &[]).expect("maintained");
            queues::tick(&mut client, QUEUE);
            seen.lock().expect("no panic").len() >= 1000
        });
        wait_for("the last tick", || is_done(&mut client));
        running.end().expect("stopped");
        let mut all = seen.lock().expect("no panic").clone();
        all.sort_by_key(|data| data[6..].parse::<u32>().expect("a number"));
        assert_eq!(all, expected(1, 1000), "{kind:?}");
    }
}

#[test]
fn a_handler_that_never_ends_is_given_up_and_its_batch_is_delivered_again() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, 10);
    let (seen, permits) = (Arc::default(), Arc::new(Semaphore::new(0)));
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let worker = worker.shutdown_limit(Duration::from_millis(100));
    let running = Running::start(worker, noting(&seen, 9, &permits));
    wait_for("the other events", || seen.lock().expect("no panic").len() == 9);
    running.end().expect("stopped");
    assert!(!is_done(&mut client));
    let running =
        Running::start(Worker::with_settings(&database.conninfo(), settings()), noting(&seen, 100, &permits));
    wait_for("the end of all events", || is_done(&mut client));
    running.end().expect("stopped");
    assert_eq!(seen.lock().expect("no panic").len(), 19);
}

/// Writes each event, and never ends at the last one if it is to hang.
struct Hanging {
    hangs: bool,
    reached: Arc<Notify>,
}

impl Consumer for Hanging {
    async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
        Applied.process_event(event, batch).await?;
        if self.hangs && event.data() == Some("event 10") {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(Outcome::Done)
    }
}

#[test]
fn what_a_consumer_that_never_ends_has_written_is_rolled_back() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, 10);
    let reached = Arc::new(Notify::new());
    for hangs in [true, false] {
        let worker = Worker::with_settings(&database.conninfo(), settings());
        let worker = worker.shutdown_limit(Duration::from_millis(100));
        let running = Running::start(worker, Hanging { hangs, reached: reached.clone() });
        match hangs {
            true => running.runtime.block_on(reached.notified()),
            false => wait_for("the end of all events", || is_done(&mut client)),
        }
        running.end().expect("stopped");
        assert_eq!(effects(&mut client).len(), if hangs { 0 } else { 10 });
    }
}

#[test]
fn a_failure_at_shutdown_ends_the_worker() {
    for ordered in [false, true] {
        let (database, mut client) = database(KINDS[0]);
        insert(&mut client, 1, 10);
        let (reached, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (reaches, releases) = (reached.clone(), released.clone());
        let handlers = Handlers::new().on("type", move |_: Event| {
            let (reached, released) = (reaches.clone(), releases.clone());
            async move {
                reached.notify_one();
                released.notified().await;
                Err::<(), BoxError>("no".into())
            }
        });
        let handlers = if ordered { handlers.ordered_by(Event::data) } else { handlers };
        let mut running = Running::start(Worker::with_settings(&database.conninfo(), settings()), handlers);
        running.runtime.block_on(reached.notified());
        drop(running.stop.take());
        released.notify_waiters();
        released.notify_one();
        running.end().expect("stopped");
        assert!(!is_done(&mut client));
    }
}
