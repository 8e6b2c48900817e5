//! Batches and events as streams.

use futures_util::{StreamExt, TryStreamExt};
use pgq::BoxError;
use pgq::aio::Worker;

use super::cancelled::polled;
use super::{KINDS, TERMINATE, database, execute, expected, insert, is_done, run, settings};

#[test]
fn all_events_arrive_although_each_wait_is_dropped_at_its_first_poll() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        (0..3).for_each(|round| insert(&mut client, 1 + round * 7, 7));
        let mut settings = settings();
        (settings.lazy_fetch, settings.merge_events) = (Some(3), 0);
        let conninfo = database.conninfo();
        let read = run(async move {
            let batches = Worker::with_settings(&conninfo, settings).batches().await?;
            let (mut batches, mut read) = (batches.into_stream(), Vec::new());
            while read.len() < 21 {
                let Some(batch) = polled(batches.next(), 1).await else { continue };
                let mut batch = batch.ok_or("the stream has ended")??;
                let mut events = batch.events();
                loop {
                    match polled(events.try_next(), 1).await {
                        None => {}
                        Some(event) => match event? {
                            Some(event) => read.push(event.data().unwrap_or_default().to_owned()),
                            None => break,
                        },
                    }
                    tokio::task::yield_now().await;
                }
                drop(events);
                batch.commit().await?;
            }
            Ok::<_, BoxError>(read)
        });
        assert_eq!(read.expect("read"), expected(1, 21), "{kind:?}");
        assert!(is_done(&mut client));
    }
}

#[test]
fn a_stream_ends_after_an_error_and_a_batch_that_was_not_read_cannot_be_committed() {
    for autocommit in [false, true] {
        let (database, mut client) = database(KINDS[0]);
        insert(&mut client, 1, 30);
        let mut settings = settings();
        (settings.lazy_fetch, settings.autocommit) = (Some(3), autocommit);
        let conninfo = database.conninfo();
        let (read, error) = run(async move {
            let mut batches = Worker::with_settings(&conninfo, settings).batches().await.expect("registered");
            let mut batch = batches.next().await.expect("a batch");
            let mut events = batch.events();
            events.next().await.expect("an event").expect("readable");
            execute(&conninfo, TERMINATE);
            let rest: Vec<_> = events.collect().await;
            assert!(rest.last().is_some_and(Result::is_err));
            (rest.len(), batch.commit().await.expect_err("not committed").to_string())
        });
        assert!(read < 20, "{read}: the events of the pages that had arrived, and the error");
        assert!(error.contains("not all of its events could be read"), "{error}");
        assert!(!is_done(&mut client));
    }
}

/// A page fails, and the next attempt reads it. The batch cannot be committed, since no page may be skipped.
#[test]
fn a_batch_with_a_page_that_failed_once_cannot_be_committed() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, 30);
    let mut settings = settings();
    (settings.lazy_fetch, settings.autocommit) = (Some(3), true);
    let conninfo = database.conninfo();
    let error = run(async move {
        let mut batches = Worker::with_settings(&conninfo, settings).batches().await.expect("registered");
        let mut batch = batches.next().await.expect("a batch");
        execute(&conninfo, "alter table pgq.event_1_0 rename to away");
        batch.next_event().await.expect_err("the table is away");
        execute(&conninfo, "alter table pgq.away rename to event_1_0");
        while batch.next_event().await.expect("readable").is_some() {}
        batch.commit().await.expect_err("not committed").to_string()
    });
    assert!(error.contains("not all of its events could be read"), "{error}");
    assert!(!is_done(&mut client));
}
