//! Futures that are dropped at any of their polls.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use pgq::aio::{Batches, Delivery, Handlers, Worker};
use pgq::schema::Kind;
use pgq::{BoxError, Event};
use postgres::Client;

use super::{Applied, KINDS, database, effects, expected, insert, is_done, run, runtime, settings};
use crate::support::amount::pick;

const EVENTS: i64 = 20;

/// Both schemas only in the long form: what is dropped does not depend on the schema.
fn kinds() -> &'static [Kind] {
    &KINDS[..pick(1, 2)]
}

/// Polls a future so many times and drops it; returns its output if it is ready by then.
pub(crate) async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Applies the batch; does nothing if it is committed, which it may be although the future of the commit was dropped.
async fn apply(batches: &mut Batches) -> Result<(), BoxError> {
    let Some(mut batch) = batches.try_next().await? else { return Ok(()) };
    while let Some(event) = batch.next_event().await? {
        let insert = "insert into effect values ($1, $2)";
        batch.db().await?.execute(insert, &[&event.id(), &event.data()]).await?;
    }
    Ok(batch.commit().await?)
}

#[test]
fn a_batch_that_is_dropped_at_any_poll_is_delivered_again_and_its_effects_are_rolled_back() {
    for &kind in kinds() {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, EVENTS);
        let mut settings = settings();
        settings.lazy_fetch = Some(6);
        let conninfo = database.conninfo();
        let polls = run(async move {
            let mut batches = Worker::with_settings(&conninfo, settings).batches().await?;
            for times in 1.. {
                if let Some(done) = polled(apply(&mut batches), times).await {
                    return done.map(|()| times);
                }
            }
            unreachable!("the batch ends at some time")
        })
        .expect("committed");
        assert!(polls > 5, "{polls} polls are too few to prove anything");
        assert_eq!(effects(&mut client), expected(1, EVENTS), "{kind:?}");
        assert!(is_done(&mut client));
    }
}

/// Runs a worker that is dropped after one poll, the next one after two, and so on, until the batch is done.
fn drop_at_each_poll<D: Delivery>(conninfo: &str, client: &mut Client, delivery: impl Fn() -> D) {
    let runtime = runtime();
    let mut polls = 0;
    while !is_done(client) {
        polls += 1;
        let mut settings = settings();
        settings.lazy_fetch = Some(6);
        let running = Worker::with_settings(conninfo, settings).run_until(delivery(), pending());
        assert!(runtime.block_on(polled(running, polls)).is_none());
    }
    assert!(polls > 5, "{polls} polls are too few to prove anything");
}

#[test]
fn a_worker_that_is_dropped_at_any_poll_has_the_effects_of_a_batch_once() {
    for &kind in kinds() {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, EVENTS);
        drop_at_each_poll(&database.conninfo(), &mut client, || Applied);
        assert_eq!(effects(&mut client), expected(1, EVENTS), "{kind:?}");
    }
}

#[test]
fn handlers_that_are_dropped_at_any_poll_lose_no_event_and_no_order() {
    for &kind in kinds() {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, EVENTS);
        let seen: Arc<Mutex<Vec<i64>>> = Arc::default();
        drop_at_each_poll(&database.conninfo(), &mut client, || {
            let seen = seen.clone();
            Handlers::new().ordered_by(|event| Some(event.event_type())).on("type", move |event: Event| {
                let seen = seen.clone();
                async move {
                    tokio::task::yield_now().await;
                    seen.lock().expect("no panic").push(event.data().unwrap_or_default()[6..].parse()?);
                    Ok::<_, BoxError>(())
                }
            })
        });
        let seen = seen.lock().expect("no panic");
        let skipped = seen.windows(2).find(|pair| pair[1] > pair[0] + 1);
        assert_eq!((seen.first(), skipped, seen.last()), (Some(&1), None, Some(&EVENTS)), "{kind:?}");
    }
}

#[test]
fn reading_goes_on_after_a_read_that_was_dropped() {
    for autocommit in [false, true] {
        let (database, mut client) = database(KINDS[0]);
        insert(&mut client, 1, EVENTS);
        let mut settings = settings();
        (settings.lazy_fetch, settings.autocommit) = (Some(3), autocommit);
        let conninfo = database.conninfo();
        let read = run(async move {
            let mut batches = Worker::with_settings(&conninfo, settings).batches().await?;
            let mut batch = batches.next().await?;
            let mut read = Vec::new();
            loop {
                match polled(batch.next_event(), 1).await {
                    None => {}
                    Some(event) => match event? {
                        Some(event) => read.push(event.data().unwrap_or_default().to_owned()),
                        None => break,
                    },
                }
                tokio::task::yield_now().await;
            }
            batch.commit().await.map(|()| read)
        });
        assert_eq!(read.expect("read"), expected(1, EVENTS), "autocommit: {autocommit}");
    }
}
