//! Events whose handler fails, with and without a retry policy.

use std::panic::panic_any;

use super::*;
use crate::support::wait_for;
use pgq::consume::Redeliver;
use pgq::{RetryPolicy, Worker};

fn with_policy(client: &mut Client, policy: RetryPolicy) -> Subscription {
    create_written(client);
    subscribe(client, |settings| {
        settings.retry_policy = Some(policy);
        settings.lazy_fetch = Some(3);
    })
}

fn at_once() -> RetryPolicy {
    RetryPolicy::fixed(Duration::ZERO)
}

#[test]
fn writes_of_a_failed_handler_are_rolled_back_and_others_stay() {
    for pgq in Pgq::ALL {
        let (_database, mut client) = pgq.database();
        let subscription = with_policy(&mut client, at_once());
        fill(&mut client, 10);
        let mut consumer = handler(|event, batch| {
            let number = number(event);
            if number == 2 {
                return Err("before it has written".into());
            }
            write(batch, number)?;
            match number {
                4 => Err("by an error".into()),
                5 => panic!("by a panic"),
                6 => panic_any(5),
                7 => {
                    batch.db()?.execute("select 1 / 0", &[])?;
                    Ok(Outcome::Done)
                }
                _ => Ok(Outcome::Done),
            }
        });
        deliver(&mut client, &subscription, &mut consumer).expect("delivered");
        assert_eq!(written(&mut client), [0, 1, 3, 8, 9], "{pgq:?}");
        assert_eq!(return_retries(&mut client), 5);
        assert_eq!(take(&mut client, &subscription), [(2, 1), (4, 1), (5, 1), (6, 1), (7, 1)]);
    }
}

#[test]
fn after_so_many_retries_an_event_is_given_up() {
    for pgq in Pgq::WHOLE {
        let (_database, mut client) = pgq.database();
        let subscription = with_policy(&mut client, at_once().max_retries(2));
        fill(&mut client, 2);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut consumer = handler(|event, batch| {
                seen.push((number(event), event.retry()));
                write(batch, number(event))?;
                if number(event) == 0 { Err("always".into()) } else { Ok(Outcome::Done) }
            });
            deliver(&mut client, &subscription, &mut consumer).expect("delivered");
            return_retries(&mut client);
        }
        assert_eq!(seen, [(0, 0), (1, 0), (0, 1), (0, 2)]);
        assert_eq!(failed(&mut client), [("event 0".to_owned(), "always".to_owned())]);
        assert_eq!(written(&mut client), [1]);
    }
}

#[test]
fn a_panic_is_the_reason_too() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = with_policy(&mut client, at_once().max_retries(0));
    fill(&mut client, 1);
    let mut consumer = handler(|_, _| panic!("out of tune"));
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    let reason = &failed(&mut client)[0].1;
    assert!(reason.contains("panic") && reason.contains("out of tune"), "{reason}");
}

/// Counts the failed rounds that are reported to it.
#[derive(Default)]
struct Rounds(std::sync::atomic::AtomicUsize);

impl pgq::Hooks for Rounds {
    fn round_failed(&self, error: &(dyn std::error::Error + 'static)) {
        assert!(dbscript::describe(error).contains("out of tune"));
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn without_a_policy_a_panic_is_a_failed_round_and_gives_the_lock_back() {
    for autocommit in [false, true] {
        let (database, mut client) = Pgq::Own.database();
        let mut settings = Settings::new(QUEUE, CONSUMER);
        settings.autocommit = autocommit;
        let rounds = std::sync::Arc::new(Rounds::default());
        let worker = Worker::with_settings(&database.conninfo(), settings).loop_delay(SHORT);
        let worker = worker.exception_sleep(Duration::from_secs(3600)).hooks(rounds.clone());
        let worker = worker.spawn(handler(|_, _| panic!("out of tune"))).expect("up");
        fill(&mut client, 1);
        wait_for("the hook", || rounds.0.load(std::sync::atomic::Ordering::SeqCst) == 1);
        let free = "select count(*) = 0 from pg_locks where locktype = 'advisory' \
                    and database = (select oid from pg_database where datname = current_database())";
        wait_for("the lock to go", || client.query_one(free, &[]).expect("readable").get(0));
        drop(worker);
    }
}

#[test]
fn delays_are_capped_and_jittered_on_the_server_too() {
    let (_database, mut client) = Pgq::Own.database();
    let policy = RetryPolicy::exponential(Duration::from_secs(100)).factor(10.0);
    let policy = policy.cap(Duration::from_secs(500)).jitter(0.5);
    let subscription = with_policy(&mut client, policy);
    fill(&mut client, 50);
    client.batch_execute("update pgq.event_template set ev_retry = 5").expect("changed");
    let mut consumer = handler(|_, _| Err("no".into()));
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    let delays = "select min(delay), max(delay), count(distinct delay) from ( \
                  select extract(epoch from ev_retry_after - now())::int8 as delay from pgq.retry_queue) all_of_them";
    let row = client.query_one(delays, &[]).expect("readable");
    let (least, most, different): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert!(least >= 500 && most <= 751 && different > 5, "{least} {most}");
}

#[test]
fn a_transaction_that_a_handler_has_spoiled_in_silence_is_rolled_back_as_a_whole() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = with_policy(&mut client, at_once());
    fill(&mut client, 3);
    let mut consumer = handler(|event, batch| {
        write(batch, number(event))?;
        if number(event) == 1 {
            // It is not reported.
            let _ = batch.db()?.execute("select 1 / 0", &[]);
        }
        Ok(Outcome::Done)
    });
    deliver(&mut client, &subscription, &mut consumer).expect_err("the writes of event 1 are lost");
    assert!(written(&mut client).is_empty());
    assert_eq!(return_retries(&mut client), 0);
    assert_eq!(take(&mut client, &subscription).len(), 3);
}

#[test]
fn a_handler_that_breaks_the_connection_fails_the_batch() {
    let (database, mut client) = Pgq::Own.database();
    create_written(&mut client);
    let mut settings = Settings::new(QUEUE, CONSUMER);
    settings.retry_policy = Some(at_once());
    let mut broken = false;
    let consumer = handler(move |event, batch| {
        write(batch, number(event))?;
        if number(event) == 3 && !std::mem::replace(&mut broken, true) {
            batch.db()?.execute("select pg_terminate_backend(pg_backend_pid())", &[])?;
        }
        Ok(Outcome::Done)
    });
    let worker = Worker::with_settings(&database.conninfo(), settings).loop_delay(SHORT);
    let worker = worker.exception_sleep(SHORT).spawn(consumer).expect("up");
    let tick = fill(&mut client, 5);
    wait_for("the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
    worker.stop();
    worker.join().expect("stopped");
    assert_eq!(written(&mut client), [0, 1, 2, 3, 4]);
    assert_eq!(return_retries(&mut client), 0, "it was the connection's fault, not the event's");
}

#[test]
fn an_error_that_asks_for_the_batch_again_does_not_count_against_the_event() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = with_policy(&mut client, at_once());
    fill(&mut client, 3);
    let mut consumer = handler(|event, batch| {
        write(batch, number(event))?;
        if number(event) == 1 { Err(Redeliver::new("no answer").into()) } else { Ok(Outcome::Done) }
    });
    deliver(&mut client, &subscription, &mut consumer).expect_err("the batch has failed");
    assert!(written(&mut client).is_empty());
    assert_eq!(return_retries(&mut client), 0);
    assert_eq!(take(&mut client, &subscription).len(), 3);
}

#[test]
fn an_abort_does_not_count_against_an_event() {
    let (database, mut client) = Pgq::Own.database();
    let mut settings = Settings::new(QUEUE, CONSUMER);
    settings.retry_policy = Some(at_once());
    let consumer = handler(|_, batch| {
        batch.db()?.execute("select pg_sleep(3600)", &[])?;
        Ok(Outcome::Done)
    });
    let worker = Worker::with_settings(&database.conninfo(), settings).loop_delay(SHORT);
    let worker = worker.spawn(consumer).expect("up");
    fill(&mut client, 5);
    wait_for("the sleep", || {
        let sleeping = "select count(*) > 0 from pg_stat_activity where query like '%sleep(3600)' \
                        and state = 'active' and datname = current_database() and pid <> pg_backend_pid()";
        client.query_one(sleeping, &[]).expect("readable").get(0)
    });
    assert!(worker.abort(), "the worker ends");
    worker.join().expect("ended");
    assert!(queues::position(&mut client, QUEUE, CONSUMER).1.is_some(), "the batch stays open");
    assert_eq!(return_retries(&mut client), 0);
}
