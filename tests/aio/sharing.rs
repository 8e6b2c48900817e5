//! Several processes that share one position.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq::aio::{Batch, Batches, Handlers, Worker};
use pgq::{BoxError, Event, Settings};
use postgres::error::SqlState;
use tokio::sync::Barrier;
use tokio_postgres::IsolationLevel;

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

const SET_BACK: &str =
    "update pgq.subscription set sub_active = now() - interval '1 day' where sub_batch is not null";

/// Opens a batch as a member with heartbeats.
async fn beating(conninfo: &str) -> Result<(Batches, Batch), BoxError> {
    let mut settings = member("a");
    settings.subconsumer_timeout = Some(Duration::from_millis(300));
    let mut batches = Worker::with_settings(conninfo, settings).batches().await?;
    insert_twenty(conninfo).await?;
    let batch = batches.next().await?;
    Ok((batches, batch))
}

/// Waits until the subconsumer with the open batch has given a sign of life.
async fn wait_for_heartbeat(client: &tokio_postgres::Client) -> Result<(), BoxError> {
    let active =
        "select sub_active > now() - interval '1 hour' from pgq.subscription where sub_batch is not null";
    while !client.query_one(active, &[]).await?.get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn connect(conninfo: &str) -> Result<tokio_postgres::Client, BoxError> {
    let (client, connection) = tokio_postgres::connect(conninfo, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[test]
fn a_batch_that_takes_longer_than_the_timeout_is_kept_until_it_is_dropped() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let conninfo = database.conninfo();
        run(async move {
            let client = connect(&conninfo).await?;
            let mut taking = member("b");
            taking.subconsumer_timeout = Some(Duration::from_secs(3600));
            let mut taking = Worker::with_settings(&conninfo, taking).batches().await?;
            let (_batches, batch) = beating(&conninfo).await?;
            for _ in 0..3 {
                client.batch_execute(SET_BACK).await?;
                wait_for_heartbeat(&client).await?;
                assert!(taking.try_next().await?.is_none(), "the member is alive");
            }
            drop(batch);
            let taken = loop {
                client.batch_execute(SET_BACK).await?;
                match taking.try_next().await? {
                    Some(batch) => break batch,
                    // A last heartbeat was on its way.
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            Ok::<_, BoxError>(taken.commit().await?)
        })
        .expect("kept");
        assert!(is_done(&mut client), "{kind:?}");
    }
}

/// A heartbeat changes a row that a transaction with an older snapshot cannot change any more.
#[test]
fn a_serializable_transaction_finishes_a_long_batch_at_its_second_delivery() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let conninfo = database.conninfo();
        run(async move {
            let (client, mut caller) = (connect(&conninfo).await?, connect(&conninfo).await?);
            let (mut batches, mut batch) = beating(&conninfo).await?;
            while batch.next_event().await?.is_some() {}
            let level = IsolationLevel::Serializable;
            let transaction = caller.build_transaction().isolation_level(level).start().await?;
            transaction.execute("select from effect", &[]).await?;
            client.batch_execute(SET_BACK).await?;
            wait_for_heartbeat(&client).await?;
            let error = batch.commit_in(transaction).await.expect_err("the row was changed");
            assert_eq!(error.sqlstate(), Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{error:?}");
            let mut batch = batches.next().await?;
            while batch.next_event().await?.is_some() {}
            let transaction = caller.build_transaction().isolation_level(level).start().await?;
            transaction.execute("select from effect", &[]).await?;
            let active = "select sub_active::text from pgq.subscription where sub_batch is not null";
            let before: String = client.query_one(active, &[]).await?.get(0);
            // Five intervals of heartbeats.
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(client.query_one(active, &[]).await?.get::<_, String>(0), before);
            Ok::<_, BoxError>(batch.commit_in(transaction).await?)
        })
        .expect("finished");
        assert!(is_done(&mut client), "{kind:?}");
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
