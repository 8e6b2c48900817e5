//! Consumers whose effects are committed together with the batch.

use std::time::Duration;

use pgq::aio::{Batch, Consumer, Worker};
use pgq::{BoxError, Event, Outcome, RetryPolicy};

use super::{KINDS, QUEUE, Running, database, effects, expected, insert, is_done, settings};
use crate::support::{queues, wait_for};

/// Writes each event; the first time, one in ten fails behind its write.
struct Applied {
    fails: bool,
}

impl Consumer for Applied {
    async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
        let db = batch.db().await?;
        db.execute("insert into effect values ($1, $2)", &[&event.id(), &event.data()]).await?;
        match (self.fails && event.retry() == 0, event.id() % 20) {
            (true, 0) => Err("an error".into()),
            (true, 10) => panic!("a panic"),
            _ => Ok(Outcome::Done),
        }
    }
}

#[test]
fn each_event_has_its_effect_once_also_when_handlers_fail() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 100);
        let policy = RetryPolicy::fixed(Duration::ZERO);
        let worker = Worker::with_settings(&database.conninfo(), settings()).retry(policy);
        let running = Running::start(worker, Applied { fails: true });
        wait_for("the end of all events", || {
            client.execute("select pgq.maint_retry_events()", &[]).expect("maintained");
            queues::tick(&mut client, QUEUE);
            effects(&mut client).len() >= 100
        });
        wait_for("the last tick", || is_done(&mut client));
        running.end().expect("stopped");
        let mut written = effects(&mut client);
        written.sort_by_key(|data| data[6..].parse::<u32>().expect("a number"));
        assert_eq!(written, expected(1, 100), "{kind:?}");
    }
}

#[test]
fn a_lost_connection_and_a_failed_batch_lose_and_double_nothing() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let worker = Worker::with_settings(&database.conninfo(), settings());
        let running = Running::start(worker, Applied { fails: false });
        for round in 0..5 {
            insert(&mut client, 1 + round * 500, 500);
            let terminate = "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and application_name = 'billing'";
            client.execute(terminate, &[]).expect("terminated");
        }
        wait_for("the end of all events", || is_done(&mut client));
        running.end().expect("stopped");
        assert_eq!(effects(&mut client), expected(1, 2500), "{kind:?}");
    }
}

#[test]
fn a_blocking_and_an_asynchronous_worker_take_turns() {
    struct Blocking;
    impl pgq::Consumer for Blocking {
        fn process_event(&mut self, event: &Event, batch: &mut pgq::Batch<'_>) -> Result<Outcome, BoxError> {
            batch.db()?.execute("insert into effect values ($1, $2)", &[&event.id(), &event.data()])?;
            Ok(Outcome::Done)
        }
    }
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let worker = Worker::with_settings(&database.conninfo(), settings());
        let running = Running::start(worker, Applied { fails: false });
        let blocking = pgq::Worker::with_settings(&database.conninfo(), settings()).spawn(Blocking);
        let blocking = blocking.expect("started");
        for round in 0..20 {
            insert(&mut client, 1 + round * 10, 10);
        }
        wait_for("the end of all events", || is_done(&mut client));
        running.end().expect("stopped");
        blocking.stop();
        blocking.join().expect("stopped");
        assert_eq!(effects(&mut client), expected(1, 200), "{kind:?}");
    }
}
