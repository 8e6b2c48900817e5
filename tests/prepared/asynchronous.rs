//! The statements of an asynchronous consumer.

use std::sync::{Arc, Mutex};
use std::thread;

use pgq::BoxError;
use pgq::aio::{Batch, Batches, Worker};
use postgres::Client;

use super::{KINDS, MANY, PREPARED, QUEUE, REPLACE, SOME, Seen, backlog, settings};
use crate::aio::cancelled::polled;
use crate::aio::run;
use crate::support::queues;

/// Returns the prepared statements of the session.
async fn add_prepared(batch: &mut Batch, seen: &Seen) -> Result<(), BoxError> {
    let rows = batch.db().await?.query_typed(PREPARED, &[]).await?;
    seen.add_prepared(&rows[0]);
    Ok(())
}

/// Runs blocking calls amid asynchronous code.
fn on_thread(client: &Mutex<Client>, calls: impl FnOnce(&mut Client) + Send) {
    thread::scope(|scope| scope.spawn(|| calls(&mut client.lock().expect("no panic"))).join())
        .expect("no panic");
}

/// Reads a batch.
async fn read(batch: &mut Batch, seen: &Seen) -> Result<usize, BoxError> {
    while let Some(event) = batch.next_event().await? {
        seen.events.lock().expect("no panic").push(event.data().unwrap_or_default().to_owned());
    }
    Ok(seen.events())
}

async fn open(conninfo: &str, seen: &Seen) -> Result<Batches, BoxError> {
    let worker = Worker::with_settings(conninfo, settings(false)).hooks(Arc::new(seen.clone()));
    Ok(worker.batches().await?)
}

#[test]
fn a_consumer_prepares_the_statements_of_its_batches_and_replaces_them() {
    for kind in KINDS {
        let (database, _client) = backlog(kind, MANY);
        let (conninfo, seen) = (database.conninfo(), Seen::default());
        let report = seen.clone();
        let done: Result<(), BoxError> = run(async move {
            let mut batches = open(&conninfo, &report).await?;
            while report.events() < MANY as usize {
                let mut batch = batches.next().await?;
                let number = read(&mut batch, &report).await?;
                if number == 50 || number == MANY as usize {
                    add_prepared(&mut batch, &report).await?;
                }
                batch.commit().await?;
            }
            Ok(())
        });
        done.expect("consumed");
        seen.assert_all_once(MANY);
        seen.assert_replaced();
    }
}

#[test]
fn a_handler_may_deallocate_them_and_functions_may_be_replaced() {
    for kind in KINDS {
        for replaces in [false, true] {
            let (database, client) = backlog(kind, SOME);
            let client = Arc::new(Mutex::new(client));
            let other = client.clone();
            let (conninfo, seen) = (database.conninfo(), Seen::default());
            let report = seen.clone();
            let done: Result<(), BoxError> = run(async move {
                let mut batches = open(&conninfo, &report).await?;
                while report.events() < SOME as usize {
                    let mut batch = batches.next().await?;
                    let number = read(&mut batch, &report).await?;
                    match number {
                        29 => add_prepared(&mut batch, &report).await?,
                        30 if replaces => {
                            on_thread(&other, |client| client.batch_execute(REPLACE).expect("replaced"));
                        }
                        30 => batch.db().await?.batch_execute("deallocate all").await?,
                        60 => add_prepared(&mut batch, &report).await?,
                        _ => {}
                    }
                    batch.commit().await?;
                }
                Ok(())
            });
            done.expect("consumed");
            seen.assert_all_once(SOME);
            let prepared = seen.prepared();
            assert!(prepared[0].1 > 0 && prepared[1].0.is_empty(), "{kind:?} {replaces}: {prepared:?}");
        }
    }
}

#[test]
fn futures_that_are_dropped_leave_no_statements_behind() {
    for kind in KINDS {
        let (database, client) = backlog(kind, SOME);
        let client = Arc::new(Mutex::new(client));
        let other = client.clone();
        let conninfo = database.conninfo();
        let names = run(async move {
            let seen = Seen::default();
            let mut batches = open(&conninfo, &seen).await?;
            for times in 1..200 {
                let next = polled(
                    async {
                        let Some(mut batch) = batches.try_next().await? else { return Ok(()) };
                        read(&mut batch, &seen).await?;
                        batch.commit().await?;
                        Ok::<_, BoxError>(())
                    },
                    times % 12,
                );
                if let Some(done) = next.await {
                    done?;
                }
            }
            on_thread(&other, |client| {
                queues::insert(client, QUEUE, 1, 1);
                queues::tick(client, QUEUE);
            });
            let mut batch = batches.next().await?;
            add_prepared(&mut batch, &seen).await?;
            Ok::<_, BoxError>(seen.prepared()[0].0.clone())
        });
        let names = names.expect("consumed");
        // Each statement may have been left once.
        assert!(names.split(',').count() <= 3, "{kind:?}: {names}");
    }
}
