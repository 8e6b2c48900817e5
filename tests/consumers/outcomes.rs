//! Done, retried, failed: one by one and by whole batches, on every kind of PgQ.

use super::*;
use crate::support::queues::UNUSUAL;

/// Retries every third event, gives up the one after it.
fn outcome(event: &Event) -> Outcome {
    match number(event) % 3 {
        0 => Outcome::Retry(Duration::ZERO),
        1 => Outcome::Failed(format!("no {}", number(event))),
        _ => Outcome::Done,
    }
}

/// Decides by the methods of a batch.
struct Whole;

impl Consumer for Whole {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        while let Some(event) = batch.next_event()? {
            match outcome(&event) {
                Outcome::Retry(delay) => batch.retry(&event, delay),
                Outcome::Failed(reason) => batch.fail(&event, reason),
                other => batch.settle(&event, other),
            }
        }
        assert_eq!((batch.count(), batch.retried(), batch.failed()), (9, 3, 3));
        Ok(())
    }
}

#[test]
fn outcomes_are_the_same_event_by_event_and_as_a_batch() {
    for pgq in Pgq::WHOLE {
        for whole in [false, true] {
            let (_database, mut client) = pgq.database();
            let subscription = subscribe(&mut client, |settings| settings.lazy_fetch = Some(2));
            let other = Subscription::new(Settings::new(QUEUE, "other"));
            other.register(&mut client).expect("registered");
            fill(&mut client, 9);
            if whole {
                deliver(&mut client, &subscription, &mut Whole).expect("delivered");
            } else {
                let mut consumer = handler(|event, _| Ok(outcome(event)));
                deliver(&mut client, &subscription, &mut consumer).expect("delivered");
            }
            assert_eq!(take(&mut client, &other).len(), 9);
            assert_eq!(return_retries(&mut client), 3, "{pgq:?}");
            assert_eq!(take(&mut client, &subscription), [(0, 1), (3, 1), (6, 1)], "{pgq:?}");
            assert_eq!(take(&mut client, &other), [], "they are redelivered to their consumer alone");
            let expected = [1, 4, 7].map(|n| (format!("event {n}"), format!("no {n}")));
            assert_eq!(failed(&mut client), expected, "{pgq:?}");
        }
    }
}

#[test]
fn each_retry_counts() {
    for pgq in Pgq::ALL {
        let (_database, mut client) = pgq.database();
        let subscription = subscribe(&mut client, |_| ());
        fill(&mut client, 2);
        for retries in 0..3 {
            let mut consumer = handler(|event, _| {
                assert_eq!(event.retry(), retries);
                Ok(if number(event) == 1 { Outcome::Retry(Duration::ZERO) } else { Outcome::Done })
            });
            deliver(&mut client, &subscription, &mut consumer).expect("delivered");
            assert_eq!(return_retries(&mut client), 1, "{pgq:?}");
        }
        assert_eq!(take(&mut client, &subscription), [(1, 3)]);
    }
}

#[test]
fn without_the_store_a_failure_is_a_clear_error_and_nothing_is_done() {
    let (_database, mut client) = Pgq::Bare.database();
    create_written(&mut client);
    let subscription = subscribe(&mut client, |_| ());
    fill(&mut client, 3);
    let mut consumer = handler(|event, batch| {
        write(batch, number(event))?;
        Ok(outcome(event))
    });
    let error = deliver(&mut client, &subscription, &mut consumer).expect_err("there is no store");
    let text = dbscript::describe(&*error);
    assert!(
        text.contains("failed events are not installed") && text.contains("pgq::schema::install"),
        "{text}"
    );
    assert!(error.downcast_ref::<pgq::Error>().is_some_and(|error| error.kind() == pgq::ErrorKind::Missing));
    assert!(written(&mut client).is_empty());
    assert_eq!(take(&mut client, &subscription), [(0, 0), (1, 0), (2, 0)]);
}

#[test]
fn a_reason_may_be_any_text() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = subscribe(&mut client, |_| ());
    fill(&mut client, 1);
    let mut consumer = handler(|_, _| Ok(Outcome::Failed(format!("{UNUSUAL}\0"))));
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    assert_eq!(failed(&mut client), [("event 0".to_owned(), format!("{UNUSUAL}\u{fffd}"))]);
}

#[test]
fn the_last_tag_of_an_event_counts() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = subscribe(&mut client, |_| ());
    fill(&mut client, 2);
    let mut consumer = handler(|event, batch| {
        batch.retry(event, Duration::ZERO);
        batch.fail(event, "no");
        Ok(if number(event) == 0 { Outcome::Done } else { Outcome::Retry(Duration::ZERO) })
    });
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    assert_eq!(failed(&mut client), [("event 0".to_owned(), "no".to_owned())]);
    assert_eq!(return_retries(&mut client), 1);
    assert_eq!(take(&mut client, &subscription), [(1, 1)]);
}

#[test]
fn tags_of_a_batch_that_is_rolled_back_are_removed() {
    for pgq in Pgq::WHOLE {
        let (_database, mut client) = pgq.database();
        let subscription = subscribe(&mut client, |_| ());
        fill(&mut client, 9);
        let mut consumer = handler(|event, _| match number(event) {
            8 => Err("at the very end".into()),
            _ => Ok(outcome(event)),
        });
        deliver(&mut client, &subscription, &mut consumer).expect_err("rolled back");
        assert_eq!(return_retries(&mut client), 0);
        assert!(failed(&mut client).is_empty());
        assert_eq!(take(&mut client, &subscription).len(), 9);
    }
}

#[test]
fn opening_a_batch_is_durable_also_where_commits_are_not() {
    let (database, mut client) = Pgq::Own.database();
    let alone = subscribe(&mut client, |_| ());
    let member = subscribe(&mut client, |settings| {
        settings.consumer = "team".to_owned();
        settings.subconsumer = Some("a".to_owned());
    });
    for (usual, expected) in [("off", "on"), ("local", "local"), ("on", "on")] {
        let change = format!("alter database {} set synchronous_commit = {usual}", database.name());
        client.batch_execute(&change).expect("changed");
        for subscription in [&alone, &member] {
            let mut session = database.client();
            let mut opening = session.transaction().expect("begin");
            subscription.next_batch(&mut opening).expect("answers");
            let row = opening.query_one("show synchronous_commit", &[]).expect("readable");
            assert_eq!(row.get::<_, &str>(0), expected, "{usual}");
        }
    }
}
