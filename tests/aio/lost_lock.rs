//! The consumer's lock, lost amid a batch.

use std::sync::Arc;
use std::time::Duration;

use pgq::BoxError;
use pgq::aio::Worker;
use pgq::consume::Health;
use postgres::Client;
use tokio::sync::Semaphore;

use super::seen::Seen;
use super::{KINDS, Running, database, expected, insert, is_done, run, settings};
use crate::support::wait_for;

/// Ends the sessions that hold a consumer's lock and nothing else, and returns their number.
fn end_guards(client: &mut Client) -> usize {
    let end = "select pg_terminate_backend(pid) from pg_stat_activity join pg_locks using (pid) \
         where datname = current_database() and locktype = 'advisory' and granted \
         and application_name = 'billing' and state = 'idle in transaction'";
    client.query(end, &[]).expect("terminated").len()
}

#[test]
fn no_event_is_started_and_running_ones_are_given_up() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 10);
        let (seen, permits) = (Seen::default(), Arc::new(Semaphore::new(3)));
        let worker = Worker::with_settings(&database.conninfo(), settings());
        let health = worker.health();
        let running = Running::start(worker, seen.handlers(1, &permits));
        wait_for("the fourth event", || seen.started() == 4);
        // Another session holds the lock from then on.
        let mut other = database.client();
        let lock =
            "select pg_advisory_xact_lock(hashtextextended(format('pgq %L %L', 'orders', 'billing'), 0))";
        let mut taken = other.transaction().expect("begun");
        assert_eq!(end_guards(&mut client), 1);
        taken.execute(lock, &[]).expect("locked");
        wait_for("standing by", || health.get() == Health::Standby);
        permits.add_permits(100);
        assert_eq!(seen.ended(), expected(1, 3), "{kind:?}");
        assert_eq!(seen.started(), 4);
        taken.rollback().expect("unlocked");
        wait_for("the end of all events", || is_done(&mut client));
        running.end().expect("stopped");
        assert_eq!(seen.ended()[3..], expected(1, 10), "{kind:?}");
    }
}

#[test]
fn a_batch_without_a_worker_hands_out_no_event() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, 10);
    let mut settings = settings();
    settings.autocommit = true;
    let conninfo = database.conninfo();
    run(async move {
        let mut batches = Worker::with_settings(&conninfo, settings).batches().await?;
        let mut batch = batches.next().await?;
        batch.next_event().await?.ok_or("an event")?;
        let ended = tokio::task::spawn_blocking(move || end_guards(&mut client)).await?;
        assert_eq!(ended, 1);
        while batch.next_event().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let lost = batch.next_event().await.err().ok_or("an error")?;
        assert!(lost.to_string().contains("lost the consumer's lock"), "{lost}");
        drop(batch);
        let mut again = batches.next().await?;
        while again.next_event().await?.is_some() {}
        assert_eq!(again.delivered().events, 10);
        again.commit().await?;
        Ok::<_, BoxError>(())
    })
    .expect("delivered again");
}
