//! The claims of events.

use std::time::Duration;

use pgq::aio::Origin;
use pgq::{Event, Settings};
use pgq_ext::sqlx::claim_event;
use pgq_ext::{Error, ErrorKind, Tracker};
use sqlx::{Executor, PgPool};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::super::{CONSUMER, KINDS, QUEUE, insert, runtime, settings};
use super::*;

/// A database with some events, and a pool for claims.
struct Scene {
    client: Client,
    runtime: Runtime,
    pool: PgPool,
    database: Database,
}

impl Scene {
    fn new(kind: Kind, events: i64) -> Scene {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, events);
        let runtime = runtime();
        let pool = runtime.block_on(async { pool(&database.conninfo(), 5) });
        Scene { client, runtime, pool, database }
    }

    /// Opens the batch, also if it is open; returns its origin and events.
    fn open_with(&self, mut settings: Settings) -> (Origin, Vec<Event>) {
        settings.autocommit = true;
        let worker = Worker::with_settings(&self.database.conninfo(), settings);
        self.runtime.block_on(async {
            let mut batches = worker.batches().await.expect("registered");
            let mut batch = batches.next().await.expect("a batch");
            let mut events = Vec::new();
            while let Some(event) = batch.next_event().await.expect("readable") {
                events.push(event);
            }
            (batch.origin(), events)
        })
    }

    fn open(&self) -> (Origin, Vec<Event>) {
        self.open_with(settings())
    }

    fn claim(&self, origin: &Origin, event: &Event) -> Result<bool, Error> {
        self.runtime.block_on(claim(&self.pool, origin, event))
    }

    fn finish(&mut self, origin: &Origin) {
        self.client.execute("select pgq.finish_batch($1)", &[&origin.batch().id]).expect("finished");
    }
}

/// Claims an event in a transaction of its own.
async fn claim(pool: &PgPool, origin: &Origin, event: &Event) -> Result<bool, Error> {
    let mut tx = pool.begin().await.expect("begun");
    let is_new = claim_event(&mut tx, origin, event).await?;
    tx.commit().await.expect("committed");
    Ok(is_new)
}

/// Claims an event twice at once, while another transaction has claimed it, and another event.
async fn compete(pool: PgPool, origin: Origin, events: Vec<Event>) -> Vec<bool> {
    let mut first = pool.begin().await.expect("begun");
    assert!(claim_event(&mut first, &origin, &events[1]).await.expect("claimed"));
    let mut second = pool.begin().await.expect("begun");
    second.execute("set local lock_timeout = '1s'").await.expect("set");
    assert!(claim_event(&mut second, &origin, &events[2]).await.expect("claimed at once"));
    let others = [(); 2].map(|()| {
        let (pool, origin, event) = (pool.clone(), origin.clone(), events[1].clone());
        tokio::spawn(async move { claim(&pool, &origin, &event).await })
    });
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
         and application_name = 'effects' and wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.expect("readable") < 2 {
        sleep(Duration::from_millis(10)).await;
    }
    first.rollback().await.expect("rolled back");
    let mut won = Vec::new();
    for other in others {
        won.push(other.await.expect("no panic").expect("claimed"));
    }
    won
}

#[test]
fn transactions_wait_for_each_other_only_if_they_claim_one_event() {
    for kind in KINDS {
        let scene = Scene::new(kind, 3);
        let (origin, events) = scene.open();
        assert!(scene.claim(&origin, &events[0]).expect("claimed"));
        assert!(!scene.claim(&origin, &events[0]).expect("claimed before"));
        let mut won = scene.runtime.block_on(compete(scene.pool.clone(), origin, events));
        won.sort_unstable();
        assert_eq!(won, [false, true]);
    }
}

#[test]
fn who_has_opened_the_batch_last_may_claim() {
    let mut scene = Scene::new(Kind::Own, 4);
    let ((former, events), (latter, _)) = (scene.open(), scene.open());
    assert!(latter.opened_at() > former.opened_at());
    assert!(scene.claim(&former, &events[0]).expect("claimed"));
    assert!(!scene.claim(&latter, &events[0]).expect("claimed by the former"));
    assert!(scene.claim(&latter, &events[1]).expect("claimed"));
    let refused = |scene: &Scene, what: &str| {
        let error = scene.claim(&former, &events[2]).expect_err(what);
        assert!(format!("{error:?}").contains("another process has opened batch"), "{error:?}");
    };
    refused(&scene, "too late");
    scene.finish(&latter);
    insert(&mut scene.client, 5, 1);
    let (next, new) = scene.open();
    assert!(scene.claim(&next, &new[0]).expect("claimed"));
    refused(&scene, "another batch is open");
}

/// A process that has opened the batch later waits for a claim that began before its own.
#[test]
fn a_claim_that_began_before_the_process_was_stopped_counts() {
    let scene = Scene::new(Kind::Own, 2);
    let ((former, events), (latter, _)) = (scene.open(), scene.open());
    scene.runtime.block_on(async {
        assert!(claim(&scene.pool, &former, &events[0]).await.expect("claimed"));
        let mut last = scene.pool.begin().await.expect("begun");
        assert!(claim_event(&mut last, &former, &events[1]).await.expect("claimed"));
        assert!(!claim(&scene.pool, &latter, &events[0]).await.expect("claimed by the former"));
        last.commit().await.expect("committed");
        assert!(!claim(&scene.pool, &latter, &events[1]).await.expect("claimed by the former"));
    });
}

#[test]
fn a_consumer_that_was_moved_back_has_lost_its_position() {
    let mut scene = Scene::new(Kind::Own, 1);
    let (origin, events) = scene.open();
    assert!(scene.claim(&origin, &events[0]).expect("claimed"));
    scene.finish(&origin);
    let start = origin.batch().prev_tick;
    pgq::admin::register_consumer_at(&mut scene.client, QUEUE, CONSUMER, start).expect("moved back");
    let (origin, _) = scene.open();
    let error = scene.claim(&origin, &events[0]).expect_err("applied in another batch");
    assert_eq!(error.kind(), ErrorKind::LostPosition, "{error:?}");
    assert!(format!("{error:?}").contains("lost its position"), "{error:?}");
    Tracker::new(CONSUMER).forget_batches(&mut scene.client).expect("forgotten");
    assert!(scene.claim(&origin, &events[0]).expect("claimed"));
}

#[test]
fn events_of_one_id_are_claimed_each() {
    let mut scene = Scene::new(Kind::Own, 0);
    for data in ["a", "b"] {
        let insert =
            "select pgq.insert_event_raw($1, 5, now(), null, null, 'type', $2, null, null, null, null)";
        scene.client.execute(insert, &[&QUEUE, &data]).expect("inserted");
    }
    queues::tick(&mut scene.client, QUEUE);
    let (mut origin, mut events) = scene.open();
    if events.is_empty() {
        scene.finish(&origin);
        (origin, events) = scene.open();
    }
    assert_eq!(events.len(), 2);
    for event in &events {
        assert!(scene.claim(&origin, event).expect("claimed"));
        assert!(!scene.claim(&origin, event).expect("claimed before"));
    }
}

#[test]
fn a_claim_that_would_not_hold_is_refused() {
    let scene = Scene::new(Kind::Own, 1);
    let (origin, events) = scene.open();
    scene.runtime.block_on(async {
        let mut connection = scene.pool.acquire().await.expect("connected");
        let error = claim_event(&mut connection, &origin, &events[0]).await.expect_err("no transaction");
        assert!(dbscript::is_final(&error) && format!("{error:?}").contains("no transaction"), "{error:?}");
        for level in ["begin isolation level repeatable read", "begin isolation level serializable"] {
            let mut tx = scene.pool.begin_with(level).await.expect("begun");
            let error = claim_event(&mut tx, &origin, &events[0]).await.expect_err("an old snapshot");
            assert!(format!("{error:?}").contains("read committed"), "{error:?}");
        }
    });
}

#[test]
fn events_of_subconsumers_are_refused() {
    let mut scene = Scene::new(Kind::Own, 0);
    pgq::admin::register_consumer(&mut scene.client, QUEUE, "team").expect("registered");
    insert(&mut scene.client, 1, 1);
    let mut member = Settings::new(QUEUE, "team");
    member.subconsumer = Some("a".to_owned());
    let (origin, events) = scene.open_with(member);
    let error = scene.claim(&origin, &events[0]).expect_err("a subconsumer");
    assert!(dbscript::is_final(&error) && format!("{error:?}").contains("subconsumers"), "{error:?}");
}
