//! Consumers whose effects are committed together with the batch.

use std::time::Duration;

use pgq::aio::{Batch, Consumer, Worker};
use pgq::consume::Health;
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

#[test]
fn without_a_ticker_a_worker_says_so_until_there_is_a_tick() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let old = "update pgq.tick set tick_time = now() - interval '1 hour'; \
             update pgq.queue set queue_ticker_idle_period = '1 second'";
        client.batch_execute(old).expect("changed");
        let worker = Worker::with_settings(&database.conninfo(), settings());
        let worker = worker.loop_delay(Duration::from_millis(10));
        let health = worker.health();
        let running = Running::start(worker, Applied { fails: false });
        wait_for("the overdue tick", || matches!(health.get(), Health::NoTicks(_)));
        insert(&mut client, 1, 1);
        wait_for("the event", || is_done(&mut client));
        wait_for("the tick", || health.get() == Health::Idle);
        running.end().expect("stopped");
        assert_eq!(health.get(), Health::Stopped);
    }
}
