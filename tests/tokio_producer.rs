//! Producers of asynchronous services.

use std::future::Future;
use std::time::Duration;

use pgq::tokio::{BulkInsert, bulk_insert, insert_event, insert_new_event};
use pgq::{Error, NewEvent};
use postgres::NoTls;
use tokio::runtime::Builder;
use tokio_postgres::Client;

use crate::buffered::{HOUR, KINDS, QUEUE, builder, data, database, event, hold, numbers, wait_held};
use crate::support::queues::{self, UNUSUAL};

/// Runs a task on the threads of a runtime, which takes futures that may be sent.
fn run(task: impl Future<Output = ()> + Send + 'static) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(runtime.spawn(task)).expect("no panic");
}

pub(crate) async fn connect(conninfo: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

#[test]
fn events_belong_to_the_callers_transaction() {
    async fn produce(conninfo: String) {
        let mut client = connect(&conninfo).await;
        let mut transaction = client.transaction().await.expect("begin");
        insert_event(&transaction, QUEUE, "t", "lost").await.expect("inserted");
        bulk_insert(&mut transaction, QUEUE, [NewEvent::new("t", "lost")]).await.expect("inserted");
        transaction.rollback().await.expect("rolled back");
        let mut transaction = client.transaction().await.expect("begin");
        let first = insert_event(&transaction, QUEUE, "t", "0").await.expect("inserted");
        let second = insert_event(&transaction, QUEUE, "t", "1").await.expect("inserted");
        assert!(second > first);
        bulk_insert(&mut transaction, QUEUE, [NewEvent::new("t", "2")]).await.expect("inserted");
        transaction.commit().await.expect("committed");
        insert_event(&client, QUEUE, "t", "3").await.expect("inserted");
    }
    for kind in KINDS {
        let (database, mut client) = database(kind, "awaiting");
        run(produce(database.conninfo()));
        assert_eq!(data(&mut client), numbers(0..4));
    }
}

#[test]
fn bulk_and_single_inserts_write_the_same_as_the_blocking_ones() {
    let (database, mut client) = queues::database("awaiting", QUEUE);
    let time = "2007-10-19T20:59:59Z".parse().expect("a time");
    let unusual = NewEvent::new(UNUSUAL, UNUSUAL).extra([None, Some(""), Some(UNUSUAL), None]);
    let events = [unusual.clone(), NewEvent::default()];
    let timed = [unusual.time(time), NewEvent::default()];
    for queue in ["single", "awaited"] {
        queues::create(&mut client, queue);
    }
    pgq::bulk_insert(&mut client, QUEUE, timed.clone()).expect("inserted");
    let refused = pgq::insert_new_event(&mut client, "single", &timed[0]).expect_err("a time");
    assert!(refused.kind() == pgq::ErrorKind::Usage, "{refused:?}");
    events.iter().for_each(|event| {
        pgq::insert_new_event(&mut client, "single", event).expect("inserted");
    });
    let conninfo = database.conninfo();
    run(async move {
        let mut client = connect(&conninfo).await;
        assert_eq!(bulk_insert(&mut client, QUEUE, timed.clone()).await.expect("inserted"), 2);
        let refused = insert_new_event(&client, "awaited", &timed[0]).await.expect_err("a time");
        assert!(refused.kind() == pgq::ErrorKind::Usage, "{refused:?}");
        for event in &events {
            insert_new_event(&client, "awaited", event).await.expect("inserted");
        }
    });
    let written = |client: &mut postgres::Client, queue: &str| -> queues::Rows {
        queues::events(client, queue).into_iter().map(|row| row[..6].to_vec()).collect()
    };
    let bulk = queues::events(&mut client, QUEUE);
    assert_eq!(bulk[0], bulk[2]);
    assert_eq!(written(&mut client, QUEUE)[..2], written(&mut client, QUEUE)[2..]);
    assert_eq!(written(&mut client, "single"), written(&mut client, "awaited"));
}

#[test]
fn events_may_be_written_one_by_one() {
    let (database, mut client) = queues::database("awaiting", QUEUE);
    let conninfo = database.conninfo();
    run(async move {
        let mut client = connect(&conninfo).await;
        let transaction = client.transaction().await.expect("begin");
        let mut bulk = BulkInsert::start(&transaction, QUEUE).await.expect("started");
        for n in numbers(0..1000) {
            bulk.write(&NewEvent::new("t", &n)).await.expect("written");
        }
        assert_eq!(bulk.finish().await.expect("finished"), 1000);
        transaction.commit().await.expect("committed");
        let transaction = client.transaction().await.expect("begin");
        let mut bulk = BulkInsert::start(&transaction, QUEUE).await.expect("started");
        bulk.write(&NewEvent::default()).await.expect("written");
        drop(bulk);
        assert!(transaction.execute("select 1", &[]).await.is_err(), "what was not finished fails");
    });
    assert_eq!(data(&mut client), numbers(0..1000));
}

/// Writes until a write has to wait, and drops its future there.
async fn cancel_a_write(bulk: &mut BulkInsert<'_>) {
    let text = "x".repeat(10_000);
    while tokio::time::timeout(Duration::ZERO, bulk.write(&NewEvent::new("t", &text))).await.is_ok() {}
}

#[test]
fn a_write_that_was_cancelled_loses_nothing_silently() {
    let (database, mut client) = queues::database("awaiting", QUEUE);
    let conninfo = database.conninfo();
    // The connection's task does not run while the thread writes.
    Builder::new_current_thread().enable_all().build().expect("a thread").block_on(async {
        let mut client = connect(&conninfo).await;
        for finishes in [true, false] {
            let transaction = client.transaction().await.expect("begin");
            let mut bulk = BulkInsert::start(&transaction, QUEUE).await.expect("started");
            bulk.write(&NewEvent::new("t", "acknowledged")).await.expect("written");
            cancel_a_write(&mut bulk).await;
            let error = bulk.write(&NewEvent::default()).await.expect_err("cancelled");
            assert!(error.to_string().contains("an earlier write was cancelled"), "{error}");
            if finishes {
                bulk.finish().await.expect_err("cancelled");
            } else {
                drop(bulk);
            }
            assert!(transaction.execute("select 1", &[]).await.is_err(), "the transaction has failed");
        }
    });
    assert_eq!(data(&mut client), numbers(0..0));
}

#[test]
fn refusals_are_those_of_the_blocking_functions() {
    async fn refused(conninfo: String) -> [Error; 2] {
        let mut client = connect(&conninfo).await;
        let single = insert_event(&client, "nope", "t", "d").await.expect_err("no queue");
        let bulk = bulk_insert(&mut client, "nope", [NewEvent::new("t", "d")]).await.expect_err("no queue");
        for error in [single, bulk] {
            assert!(
                error.kind() == pgq::ErrorKind::Missing
                    && error.to_string().contains("queue `nope` does not exist"),
                "{error}"
            );
        }
        [
            insert_event(&client, QUEUE, "t", "d").await.expect_err("disabled"),
            bulk_insert(&mut client, QUEUE, [NewEvent::new("t", "d")]).await.expect_err("disabled"),
        ]
    }
    for kind in KINDS {
        let (database, mut client) = database(kind, "awaiting");
        client.execute("update pgq.queue set queue_disable_insert = true", &[]).expect("updated");
        let single = pgq::insert_event(&mut client, QUEUE, "t", "d").expect_err("disabled");
        let bulk = pgq::bulk_insert(&mut client, QUEUE, [NewEvent::new("t", "d")]).expect_err("disabled");
        let expected = [single, bulk].map(|error| dbscript::describe(&error));
        let conninfo = database.conninfo();
        run(async move {
            assert_eq!(refused(conninfo).await.map(|error| dbscript::describe(&error)), expected);
        });
    }
}

#[test]
fn tasks_share_a_buffered_producer() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "awaiting");
        let producer = builder(&database.conninfo()).max_events(8).spawn().expect("up");
        run(async move {
            let tasks = ["a", "b", "c"].map(|name| {
                let producer = producer.clone();
                tokio::spawn(async move {
                    for n in numbers(0..500) {
                        producer.send_async(NewEvent::new(name, &n)).await.expect("accepted");
                    }
                    producer.flush_async().await.expect("committed");
                })
            });
            for task in tasks {
                task.await.expect("no panic");
            }
            assert_eq!(producer.stats().committed, 1500);
            producer.close_async().await.expect("nothing is left");
            assert!(producer.send_async(event(0)).await.expect_err("closed").is_closed());
        });
        let rows = queues::events(&mut client, QUEUE);
        for name in ["a", "b", "c"] {
            let own = rows.iter().filter(|row| row[0].as_deref() == Some(name));
            assert_eq!(own.filter_map(|row| row[1].clone()).collect::<Vec<_>>(), numbers(0..500));
        }
    }
}

#[test]
fn a_full_buffer_suspends_a_task_and_does_not_block_its_thread() {
    let (database, mut client) = queues::database("awaiting", QUEUE);
    let producer = builder(&database.conninfo()).max_events(2).spawn().expect("up");
    let mut holder = database.client();
    let held = hold(&mut holder);
    (0..2).for_each(|n| producer.send(event(n)).expect("accepted"));
    wait_held(&mut client);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a thread");
    let sender = producer.clone();
    let waiting = runtime.spawn(async move { sender.send_async(event(2)).await });
    runtime.block_on(async {
        let given_up = tokio::time::timeout(Duration::ZERO, producer.send_async(event(9))).await;
        assert!(given_up.is_err(), "the buffer is full");
        // The only thread continues here after the other sender had its turn.
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
    });
    held.rollback().expect("rolled back");
    runtime.block_on(async {
        waiting.await.expect("no panic").expect("accepted");
        producer.flush_async().await.expect("committed");
    });
    assert_eq!(data(&mut client), numbers(0..3));
}

#[test]
fn awaiting_a_flush_or_the_end_reports_the_failure() {
    let (database, mut client) = queues::database("awaiting", QUEUE);
    let producer = builder(&database.conninfo()).max_delay(HOUR).spawn().expect("up");
    client.execute("update pgq.queue set queue_disable_insert = true", &[]).expect("updated");
    producer.try_send(event(0)).expect("not known yet");
    let sender = producer.clone();
    run(async move {
        let error = sender.flush_async().await.expect_err("disabled");
        assert!(error.sqlstate().is_some(), "{error:?}");
        assert!(sender.send_async(event(1)).await.expect_err("known").error().is_some());
        let left = sender.close_async().await.expect_err("disabled");
        assert_eq!(left.events(), [event(0)]);
    });
    let again = producer.close().expect_err("not all was inserted");
    assert!(again.events().is_empty() && again.error().sqlstate().is_some(), "{again:?}");
    assert_eq!(data(&mut client), numbers(0..0));
}
