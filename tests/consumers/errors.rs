//! Errors that end a consumer's loop, and the causes that they keep.

use std::error::Error as StdError;
use std::sync::mpsc::channel;

use super::*;
use crate::support::wait_for;
use dbscript::{Error, ErrorKind};
use pgq::{NewEvent, RetryPolicy, Worker};

#[test]
fn an_error_that_ends_the_loop_keeps_its_source_and_sqlstate() {
    let (_database, mut client) = Pgq::Own.database();
    let mut failed = || client.execute("select 1 / 0", &[]).expect_err("the server refuses");
    let by_cause = Error::fatal("cannot divide").caused_by(failed());
    let by_kind = Error::new(ErrorKind::Fatal, Error::failed("cannot divide").caused_by(failed()));
    for error in [by_cause, by_kind] {
        assert_eq!(
            (error.kind(), error.sqlstate().map(|state| state.code())),
            (ErrorKind::Fatal, Some("22012"))
        );
        assert!(error.source().is_some_and(|cause| cause.is::<postgres::Error>()));
        assert_eq!(dbscript::describe(&error), "cannot divide: ERROR 22012: division by zero");
        assert!(dbscript::is_final(&error));
    }
}

/// Inserts with an argument that `insert_new_event` refuses.
fn misuse(batch: &mut Batch<'_>) -> Result<(), BoxError> {
    let event = NewEvent::new("type", "data").time(chrono::DateTime::UNIX_EPOCH);
    let error = pgq::insert_new_event(batch.db()?, QUEUE, &event).expect_err("refused");
    assert_eq!(error.kind(), pgq::ErrorKind::Usage);
    Err(error.into())
}

#[test]
fn a_wrong_argument_counts_against_its_event() {
    let (_database, mut client) = Pgq::Own.database();
    let policy = RetryPolicy::fixed(Duration::ZERO);
    let subscription = subscribe(&mut client, |settings| settings.retry_policy = Some(policy));
    fill(&mut client, 2);
    let mut consumer = handler(|event, batch| {
        if number(event) == 0 {
            misuse(batch)?;
        }
        Ok(Outcome::Done)
    });
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    assert_eq!(return_retries(&mut client), 1);
}

#[test]
fn a_wrong_argument_or_a_part_that_cannot_start_does_not_end_the_loop() {
    let (database, mut client) = Pgq::Own.database();
    let mut attempts = 0;
    let consumer = handler(move |_, batch| {
        attempts += 1;
        match attempts {
            1 => misuse(batch)?,
            2 => drop(Worker::new("no conninfo", QUEUE, "other").spawn(handler(|_, _| Ok(Outcome::Done)))?),
            _ => {}
        }
        Ok(Outcome::Done)
    });
    let worker = Worker::new(&database.conninfo(), QUEUE, CONSUMER).loop_delay(SHORT).exception_sleep(SHORT);
    let worker = worker.spawn(consumer).expect("up");
    let tick = fill(&mut client, 1);
    wait_for("the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
    worker.stop();
    worker.join().expect("stopped");
}

#[test]
fn a_handler_that_does_not_fit_the_settings_ends_the_loop() {
    let (database, mut client) = Pgq::Own.database();
    let mut settings = Settings::new(QUEUE, CONSUMER);
    settings.autocommit = true;
    let consumer = handler(|event, batch| write(batch, number(event)).map(|()| Outcome::Done));
    let worker = Worker::with_settings(&database.conninfo(), settings).loop_delay(SHORT);
    let worker = worker.spawn(consumer).expect("up");
    fill(&mut client, 1);
    let error = worker.join().expect_err("the loop ends");
    assert!(dbscript::describe(&error).contains("`Batch::client` returns the connection"), "{error:?}");
}

#[test]
fn dropping_a_worker_does_not_wait_for_a_handler_that_cannot_be_interrupted() {
    let (database, mut client) = Pgq::Own.database();
    let ((entered, is_entered), (release, is_released)) = (channel(), channel::<()>());
    let consumer = handler(move |_, _| {
        entered.send(())?;
        is_released.recv()?;
        Ok(Outcome::Done)
    });
    let worker = Worker::new(&database.conninfo(), QUEUE, CONSUMER).loop_delay(SHORT);
    let worker = worker.spawn(consumer).expect("up");
    fill(&mut client, 1);
    is_entered.recv().expect("the handler runs");
    drop(worker);
    release.send(()).expect("the handler still waits");
}
