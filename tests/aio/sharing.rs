//! Several processes that share one position.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq::aio::{Handlers, Worker};
use pgq::{BoxError, Event, Settings};
use tokio::sync::Barrier;

use super::{Applied, KINDS, QUEUE, Running, database, effects, expected, insert, is_done, run, settings};
use crate::support::{queues, wait_for};

fn member(name: &str) -> Settings {
    let mut settings = settings();
    settings.subconsumer = Some(name.to_owned());
    settings.merge_events = 0;
    settings
}

/// Makes handlers that note each event; the first one waits until the other member has one, too.
fn noting(seen: &Arc<Mutex<Vec<String>>>, barrier: &Arc<Barrier>) -> Handlers {
    let (seen, barrier, met) = (seen.clone(), barrier.clone(), Arc::new(AtomicBool::new(false)));
    Handlers::new().concurrency(4).on("type", move |event: Event| {
        let (seen, barrier) = (seen.clone(), barrier.clone());
        let is_first = !met.swap(true, Ordering::SeqCst);
        async move {
            if is_first {
                barrier.wait().await;
            }
            seen.lock().expect("no panic").push(event.data().unwrap_or_default().to_owned());
            Ok::<_, BoxError>(())
        }
    })
}

#[test]
fn members_have_batches_at_the_same_time_and_each_event_once() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let (seen, barrier) = (Arc::default(), Arc::new(Barrier::new(2)));
        let members = ["a", "b"].map(|name| {
            let worker = Worker::with_settings(&database.conninfo(), member(name));
            Running::start(worker.loop_delay(Duration::from_millis(20)), noting(&seen, &barrier))
        });
        for round in 0..10 {
            insert(&mut client, 1 + round * 10, 10);
        }
        wait_for("the end of all events", || is_done(&mut client));
        for running in members {
            running.end().expect("stopped");
        }
        let mut seen = seen.lock().expect("no panic").clone();
        seen.sort_by_key(|data| data[6..].parse::<u32>().expect("a number"));
        assert_eq!(seen, expected(1, 100), "{kind:?}");
    }
}

#[test]
fn a_batch_that_is_taken_over_has_its_effects_once() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let conninfo = database.conninfo();
        let mut taking = member("b");
        taking.subconsumer_timeout = Some(Duration::from_millis(1));
        let lost = run(async move {
            let mut batches = Worker::with_settings(&conninfo, member("a")).batches().await?;
            insert_twenty(&conninfo).await?;
            let mut batch = batches.next().await?;
            let event = batch.next_event().await?.ok_or("an event")?;
            batch.db().await?.execute("insert into effect values ($1, 'lost')", &[&event.id()]).await?;
            let taker = Worker::with_settings(&conninfo, taking).loop_delay(Duration::from_millis(20));
            let effects = "select count(*) from effect";
            let (client, connection) = tokio_postgres::connect(&conninfo, tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            let taken_over = async {
                while client.query_one(effects, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) == 0) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            taker.run_until(Applied, taken_over).await?;
            Ok::<_, BoxError>(batch.commit().await.err().ok_or("the batch is another member's")?.to_string())
        })
        .expect("taken over");
        assert!(lost.contains("taken over by somebody else"), "{lost}");
        assert_eq!(effects(&mut client), expected(1, 20), "{kind:?}");
        assert!(is_done(&mut client));
    }
}

/// Inserts twenty events out of asynchronous code.
async fn insert_twenty(conninfo: &str) -> Result<(), pgq::Error> {
    pgq::aio::administer(conninfo, |client| {
        queues::insert(client, QUEUE, 1, 20);
        queues::tick(client, QUEUE);
        Ok(())
    })
    .await
}
