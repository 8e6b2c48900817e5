//! `pgq_autocommit`: no transaction is open while events are handled.

use std::sync::mpsc::channel;

use pgq::{RetryPolicy, Worker};

use super::*;
use crate::support::programs::{Pair, SOURCE_QUEUE};
use crate::support::wait_for;

fn autocommit(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::new(QUEUE, CONSUMER);
    settings.autocommit = true;
    change(&mut settings);
    settings
}

#[test]
fn no_transaction_is_open_while_the_handler_runs() {
    for pgq in Pgq::ALL {
        let (database, mut client) = pgq.database();
        let (out, received) = channel();
        let mut witness = database.client();
        let consumer = handler(move |_, batch| {
            let own = batch.client()?;
            let pid: i32 = own.query_one("select pg_backend_pid()", &[])?.get(0);
            let row = witness.query_one(
                "select state, xact_start is null, backend_xmin is null and backend_xid is null, \
                     (select count(*) from pg_stat_activity other \
                      where other.application_name = $2 and other.datname = current_database() \
                          and other.backend_xmin is not null) \
                 from pg_stat_activity where pid = $1",
                &[&pid, &CONSUMER],
            )?;
            out.send((
                row.get::<_, String>(0),
                row.get::<_, bool>(1),
                row.get::<_, bool>(2),
                row.get::<_, i64>(3),
            ))?;
            Ok(Outcome::Done)
        });
        let settings = autocommit(|settings| settings.lazy_fetch = Some(2));
        let worker = Worker::with_settings(&database.conninfo(), settings)
            .loop_delay(SHORT)
            .spawn(consumer)
            .expect("up");
        let tick = fill(&mut client, 5);
        wait_for("the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
        drop(worker);
        let seen: Vec<_> = received.iter().collect();
        assert_eq!(seen, vec![("idle".to_owned(), true, true, 0); 5], "{pgq:?}");
    }
}

#[test]
fn every_page_size_reads_every_event_once_though_ids_repeat() {
    for pgq in Pgq::ALL {
        let (_database, mut client) = pgq.database();
        let other = Subscription::new(Settings::new(QUEUE, "other"));
        other.register(&mut client).expect("registered");
        let consumers: Vec<Subscription> = [None, Some(0), Some(1), Some(2), Some(3), Some(100)]
            .into_iter()
            .enumerate()
            .map(|(n, lazy_fetch)| {
                let subscription = Subscription::new(autocommit(|settings| {
                    settings.consumer = format!("consumer {n}");
                    settings.lazy_fetch = lazy_fetch;
                }));
                subscription.register(&mut client).expect("registered");
                subscription
            })
            .collect();
        // Of one transaction and of several.
        insert_ids(&mut client, &[11, 12, 12, 12, 13, i64::MAX, -5]);
        insert_ids(&mut client, &[12, 12, 11, 14]);
        queues::tick(&mut client, QUEUE);
        let ids = |client: &mut Client, subscription: &Subscription| {
            let mut ids = Vec::new();
            let mut consumer = handler(|event, _| {
                ids.push(event.id());
                Ok(Outcome::Done)
            });
            deliver(client, subscription, &mut consumer).expect("delivered");
            ids
        };
        let expected = [-5, 11, 11, 12, 12, 12, 12, 12, 13, 14, i64::MAX];
        assert_eq!(ids(&mut client, &other), expected);
        for subscription in &consumers {
            let size = subscription.settings().lazy_fetch;
            assert_eq!(ids(&mut client, subscription), expected, "{pgq:?} {size:?}");
        }
    }
}

#[test]
fn outcomes_and_the_policy_work_as_in_a_transaction() {
    for pgq in Pgq::WHOLE {
        let (_database, mut client) = pgq.database();
        let subscription = Subscription::new(autocommit(|settings| {
            settings.retry_policy = Some(RetryPolicy::fixed(Duration::ZERO));
            settings.lazy_fetch = Some(2);
        }));
        subscription.register(&mut client).expect("registered");
        fill(&mut client, 5);
        let mut consumer = handler(|event, batch| {
            assert!(batch.client().is_ok());
            match number(event) {
                0 => Err("no".into()),
                1 => panic!("no"),
                2 => Ok(Outcome::Failed("never".to_owned())),
                3 => Ok(Outcome::Retry(Duration::ZERO)),
                _ => Ok(Outcome::Done),
            }
        });
        deliver(&mut client, &subscription, &mut consumer).expect("delivered");
        assert_eq!(failed(&mut client), [("event 2".to_owned(), "never".to_owned())]);
        assert_eq!(return_retries(&mut client), 3);
        assert_eq!(take(&mut client, &subscription), [(0, 1), (1, 1), (3, 1)]);
    }
}

#[test]
fn writes_stay_and_the_batch_is_redelivered() {
    let (_database, mut client) = Pgq::Own.database();
    create_written(&mut client);
    let subscription = Subscription::new(autocommit(|_| ()));
    subscription.register(&mut client).expect("registered");
    fill(&mut client, 4);
    let mut consumer = handler(|event, batch| {
        let db = batch.client()?;
        db.execute("insert into written values ($1)", &[&number(event)])?;
        if number(event) == 2 { Err("amid the batch".into()) } else { Ok(Outcome::Done) }
    });
    deliver(&mut client, &subscription, &mut consumer).expect_err("not finished");
    assert_eq!(written(&mut client), [0, 1, 2]);
    assert_eq!(take(&mut client, &subscription).len(), 4);
}

#[test]
fn a_batch_that_is_not_open_any_more_is_an_error_and_its_tags_are_removed() {
    for pgq in Pgq::WHOLE {
        let (database, mut client) = pgq.database();
        let subscription = Subscription::new(autocommit(|_| ()));
        subscription.register(&mut client).expect("registered");
        fill(&mut client, 3);
        let mut batch = open(&mut client, &subscription);
        while let Some(event) = batch.next_event().expect("readable") {
            if number(&event) == 1 {
                // Tags need the batch; without any, it is `finish_batch` that does not find it.
                batch.retry(&event, Duration::ZERO);
            }
        }
        database.client().execute("select pgq.finish_batch($1)", &[&batch.info().id]).expect("finished");
        batch.finish().expect_err("another session has finished it");
        assert_eq!(return_retries(&mut client), 0);

        fill(&mut client, 3);
        let batch = open(&mut client, &subscription);
        database.client().execute("select pgq.finish_batch($1)", &[&batch.info().id]).expect("finished");
        let error = batch.finish().expect_err("another session has finished it");
        assert!(error.to_string().contains("somebody else"), "{error}");
    }
}

#[test]
fn the_mover_does_without_a_transaction_on_the_source_too() {
    let pair = Pair::create();
    pair.write_ini("pgq_autocommit = 1\n");
    pair.register();
    let mut source = pair.source_client();
    for round in 0..3 {
        queues::insert(&mut source, SOURCE_QUEUE, round * 100, 100);
        queues::tick(&mut source, SOURCE_QUEUE);
        pair.drain();
    }
    pair.assert_moved();
}

#[test]
fn a_batch_has_a_transaction_or_a_connection() {
    for is_autocommit in [true, false] {
        let (_database, mut client) = Pgq::Own.database();
        let subscription = subscribe(&mut client, |settings| settings.autocommit = is_autocommit);
        fill(&mut client, 1);
        let mut batch = open(&mut client, &subscription);
        let db = batch.db().map(|_| ()).map_err(|error| error.kind());
        let connection = batch.client().map(|_| ()).map_err(|error| error.kind());
        let (there, missing) = (Ok(()), Err(pgq::ErrorKind::Misconfigured));
        assert_eq!((db, connection), if is_autocommit { (missing, there) } else { (there, missing) });
    }
}

#[test]
fn the_server_sorts_a_large_batch_once() {
    const MANY: i64 = 12_000;
    for pgq in Pgq::WHOLE {
        let (database, mut client) = pgq.database();
        let (out, received) = channel();
        let mut witness = database.client();
        let consumer = handler(move |event, _| {
            let seen = match number(event) {
                11_000 => {
                    let last =
                        "select string_agg(query, '; ') from pg_stat_activity where application_name = $1";
                    witness.query_one(last, &[&CONSUMER])?.get(0)
                }
                _ => String::new(),
            };
            out.send((number(event), seen))?;
            Ok(Outcome::Done)
        });
        let settings = autocommit(|settings| settings.lazy_fetch = Some(5000));
        let worker = Worker::with_settings(&database.conninfo(), settings)
            .loop_delay(SHORT)
            .spawn(consumer)
            .expect("up");
        let tick = fill(&mut client, MANY);
        wait_for("the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
        drop(worker);
        let (read, seen): (Vec<_>, Vec<String>) = received.iter().unzip();
        assert!(read.into_iter().eq(0..MANY), "{pgq:?}");
        assert!(seen.concat().contains("pgq_kept_events"), "{pgq:?}: {seen:?}", seen = seen.concat());
    }
}
