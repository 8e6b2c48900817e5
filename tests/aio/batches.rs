//! Batches that a service takes one after the other.

use std::time::Duration;

use pgq::aio::{Batch, Worker};
use pgq::{BoxError, ErrorKind, Settings};

use super::{CONSUMER, KINDS, QUEUE, database, effects, expected, insert, is_done, run, settings};

/// Writes what is left of a batch, and commits.
async fn apply(mut batch: Batch) -> Result<(), BoxError> {
    while let Some(event) = batch.next_event().await? {
        let (id, data) = (event.id(), event.data().map(str::to_owned));
        batch.db().await?.execute("insert into effect values ($1, $2)", &[&id, &data]).await?;
    }
    Ok(batch.commit().await?)
}

#[test]
fn effects_are_committed_together_with_the_batch() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 800);
        let conninfo = database.conninfo();
        run(async move {
            let mut batches = Worker::new(&conninfo, QUEUE, CONSUMER).batches().await?;
            let mut dropped = batches.next().await?;
            for _ in 0..300 {
                let event = dropped.next_event().await?.ok_or("an event")?;
                dropped.db().await?.execute("insert into effect values ($1, 'lost')", &[&event.id()]).await?;
            }
            drop(dropped);
            apply(batches.next().await?).await?;
            assert!(batches.try_next().await?.is_none());
            Ok::<_, BoxError>(())
        })
        .expect("applied");
        assert_eq!(effects(&mut client), expected(1, 800), "{kind:?}");
        assert!(is_done(&mut client));
    }
}

#[test]
fn tags_are_committed_with_the_batch() {
    for kind in KINDS {
        for autocommit in [false, true] {
            let (database, mut client) = database(kind);
            insert(&mut client, 1, 10);
            let mut settings = settings();
            settings.autocommit = autocommit;
            let conninfo = database.conninfo();
            run(async move {
                let mut batches = Worker::with_settings(&conninfo, settings).batches().await?;
                let mut batch = batches.next().await?;
                while let Some(event) = batch.next_event().await? {
                    match event.data() {
                        Some("event 3") => batch.retry(&event, Duration::from_secs(7)),
                        Some("event 5") => batch.fail(&event, "no five"),
                        _ => {}
                    }
                }
                let delivered = batch.delivered();
                assert_eq!((delivered.events, delivered.retried, delivered.failed), (10, 1, 1));
                batch.commit().await
            })
            .expect("committed");
            let query = "select (select string_agg(ev_data, ',') from pgq.retry_queue), \
                 (select string_agg(ev_failed_reason, ',') from pgq.failed_queue)";
            let row = client.query_one(query, &[]).expect("readable");
            assert_eq!((row.get(0), row.get(1)), (Some("event 3"), Some("no five")), "{kind:?} {autocommit}");
        }
    }
}

#[test]
fn a_batch_is_read_page_by_page_and_in_order() {
    for kind in KINDS {
        for autocommit in [false, true] {
            let (database, mut client) = database(kind);
            insert(&mut client, 1, 1500);
            let mut settings: Settings = settings();
            (settings.autocommit, settings.lazy_fetch) = (autocommit, Some(7));
            let conninfo = database.conninfo();
            let read = run(async move {
                let mut batches = Worker::with_settings(&conninfo, settings).batches().await?;
                let mut batch = batches.next().await?;
                let mut read = Vec::new();
                while let Some(event) = batch.next_event().await? {
                    read.push(event.data().unwrap_or_default().to_owned());
                }
                assert!(batch.next_event().await?.is_none());
                batch.commit().await.map(|()| read)
            });
            assert_eq!(read.expect("read"), expected(1, 1500), "{kind:?} {autocommit}");
        }
    }
}

#[test]
fn without_a_queue_or_a_server_the_start_fails() {
    let (database, _client) = database(KINDS[0]);
    let conninfo = database.conninfo();
    run(async move {
        let missing = Worker::new(&conninfo, "nowhere", CONSUMER).batches().await.err().expect("refused");
        assert_eq!(missing.kind(), ErrorKind::Missing);
        assert!(missing.to_string().contains("`nowhere`"), "{missing}");
        let away = Worker::new("host=127.0.0.1 port=1 dbname=x", QUEUE, CONSUMER).batches().await;
        assert!(away.err().expect("refused").is_connection());
    });
}
