//! Handlers within handlers, and errors that no policy may turn into an outcome.

use super::*;
use pgq::RetryPolicy;

fn subscribed(client: &mut Client, policy: RetryPolicy) -> Subscription {
    create_written(client);
    subscribe(client, |settings| settings.retry_policy = Some(policy))
}

fn at_once() -> RetryPolicy {
    RetryPolicy::fixed(Duration::ZERO)
}

/// Handles events two by two: the second one within the handler of the first.
struct Nested {
    /// Numbers whose handler fails at its end.
    bad: &'static [i64],
    /// Whether the outer handler writes before the inner one.
    writes_first: bool,
}

impl Nested {
    fn end(&self, number: i64) -> Result<Outcome, BoxError> {
        if self.bad.contains(&number) { Err(format!("no {number}").into()) } else { Ok(Outcome::Done) }
    }

    fn outer(&self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        if self.writes_first {
            write(batch, number(event))?;
        }
        if let Some(second) = batch.next_event()? {
            let outcome = batch.attempt(&second, |batch| {
                write(batch, number(&second))?;
                self.end(number(&second))
            })?;
            batch.settle(&second, outcome);
        }
        if !self.writes_first {
            write(batch, number(event))?;
        }
        self.end(number(event))
    }
}

impl Consumer for Nested {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        while let Some(event) = batch.next_event()? {
            let outcome = batch.attempt(&event, |batch| self.outer(&event, batch))?;
            batch.settle(&event, outcome);
        }
        Ok(())
    }
}

#[test]
fn a_handler_within_a_handler_takes_back_its_own_writes_alone() {
    for writes_first in [true, false] {
        let (_database, mut client) = Pgq::Own.database();
        let subscription = subscribed(&mut client, at_once());
        fill(&mut client, 8);
        // Of 2 and 3 the inner one fails, of 4 and 5 the outer one, which takes the inner one along.
        let mut consumer = Nested { bad: &[3, 4], writes_first };
        deliver(&mut client, &subscription, &mut consumer).expect("delivered");
        assert_eq!(written(&mut client), [0, 1, 2, 6, 7], "{writes_first}");
        assert_eq!(return_retries(&mut client), 2);
        assert_eq!(take(&mut client, &subscription), [(3, 1), (4, 1)]);
    }
}

#[test]
fn tags_of_a_handler_outlive_its_writes() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = subscribed(&mut client, at_once());
    fill(&mut client, 20);
    let mut consumer = handler(|event, batch| {
        write(batch, number(event))?;
        while let Some(other) = batch.next_event()? {
            batch.fail(&other, "x".repeat(1 << 20));
        }
        Err("after so many tags that they are sent".into())
    });
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), 19);
    assert_eq!(return_retries(&mut client), 1);
    assert!(written(&mut client).is_empty());
}

/// Retries every event by hand, by an outcome or by the batch's method.
struct Stubborn {
    by_method: bool,
}

impl Consumer for Stubborn {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        while let Some(event) = batch.next_event()? {
            if self.by_method {
                batch.retry(&event, Duration::ZERO);
            } else {
                let outcome = batch.attempt(&event, |_| Ok(Outcome::Retry(Duration::ZERO)))?;
                batch.settle(&event, outcome);
            }
        }
        Ok(())
    }
}

#[test]
fn the_policys_limit_is_for_retries_by_hand_too() {
    for by_method in [false, true] {
        let (_database, mut client) = Pgq::Own.database();
        let subscription = subscribed(&mut client, at_once().max_retries(1));
        fill(&mut client, 1);
        deliver(&mut client, &subscription, &mut Stubborn { by_method }).expect("delivered");
        assert_eq!(return_retries(&mut client), 1);
        deliver(&mut client, &subscription, &mut Stubborn { by_method }).expect("delivered");
        assert_eq!(return_retries(&mut client), 0, "{by_method}");
        let [(event, reason)] = &failed(&mut client)[..] else { panic!("one event failed") };
        assert!(event == "event 0" && reason.contains("limit of 1 retries"), "{reason}");
    }
}

/// Implements neither method.
struct Idle;

impl Consumer for Idle {}

/// Checks that a consumer's error fails the batch, and that its events have no outcome.
fn check(autocommit: bool, consumer: &mut impl Consumer, expected: &str) {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = subscribe(&mut client, |settings| {
        settings.retry_policy = Some(at_once().max_retries(0));
        settings.autocommit = autocommit;
    });
    fill(&mut client, 3);
    let error = deliver(&mut client, &subscription, consumer).expect_err("it is no event's fault");
    let text = dbscript::describe(&*error);
    assert!(text.contains(expected), "{text}");
    assert!(failed(&mut client).is_empty(), "{expected}");
    assert_eq!(take(&mut client, &subscription).len(), 3);
}

#[test]
fn a_wrong_program_does_not_count_against_events() {
    check(false, &mut handler(|_, _| Err(dbscript::Error::usage("a wrong key").into())), "a wrong key");
    check(false, &mut handler(|_, _| Err(dbscript::Error::fatal("no use").into())), "no use");
    check(false, &mut Idle, "implements neither");
    let mut writes = handler(|event, batch| {
        write(batch, number(event))?;
        Ok(Outcome::Done)
    });
    check(true, &mut writes, "autocommit");
}
