//! Errors, which are those of the blocking functions.

use dbscript::describe;
use pgq::{Error, ErrorKind, NewEvent};
use postgres::error::SqlState;

use super::Driver;
use crate::buffered::{KINDS, QUEUE, data, database, numbers};
use crate::copying::snapshots::{LEVELS, TAKE_SNAPSHOT};
use crate::copying::{self, rotate, tick_and_read};
use crate::support::unique;

/// A way to insert an event.
type Insert<D> = fn(&mut D) -> Result<(), Error>;

fn events() -> [NewEvent<'static>; 1] {
    [NewEvent::new("t", "d")]
}

/// Checks an error of a driver against that of the blocking function.
#[track_caller]
fn check<D: Driver>(error: &Error, expected: &Error) {
    assert_eq!((error.kind(), error.queue()), (expected.kind(), expected.queue()), "{error:?}");
    assert_eq!(error.to_string(), expected.to_string());
    if D::HAS_SQLSTATES {
        assert_eq!(error.sqlstate(), expected.sqlstate());
        assert_eq!(describe(error), describe(expected));
    }
}

pub(super) fn refusals_are_those_of_the_blocking_functions<D: Driver>() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "driver");
        let mut driver = D::connect(&database.conninfo());
        let mut compare = |queue: &str| {
            let single = pgq::insert_event(&mut client, queue, "t", "d").expect_err(queue);
            check::<D>(&driver.insert_event(queue, "t", "d").expect_err(queue), &single);
            let bulk = pgq::bulk_insert(&mut client, queue, events()).expect_err(queue);
            check::<D>(&driver.bulk_insert(queue, &events()).expect_err(queue), &bulk);
            client.execute("update pgq.queue set queue_disable_insert = true", &[]).expect("updated");
            single
        };
        assert!(compare("nope").kind() == ErrorKind::Missing);
        assert!(compare(QUEUE).kind() == ErrorKind::Failed);
    }
}

pub(super) fn an_insert_behind_a_rotation_fails<D: Driver>() {
    let single = |driver: &mut D| driver.insert_event(QUEUE, "t", "late").map(|_| ());
    let bulk = |driver: &mut D| driver.bulk_insert(QUEUE, &[NewEvent::new("t", "late")]).map(|_| ());
    let inserts: [Insert<D>; 2] = [single, bulk];
    for kind in KINDS {
        for (level, insert) in LEVELS.into_iter().zip(inserts) {
            let (database, mut client) = copying::database(kind);
            let mut driver = D::connect(&database.conninfo());
            let begin = |driver: &mut D| {
                driver.begin();
                driver.run(&format!("set transaction isolation level {level}"));
            };
            begin(&mut driver);
            driver.run(TAKE_SNAPSHOT);
            rotate(&mut client, QUEUE);
            let error = insert(&mut driver).expect_err("the table is not read any more");
            assert_eq!(error.sqlstate(), Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{kind:?}: {error:?}");
            driver.rollback();
            // The next attempt sees the rotation.
            begin(&mut driver);
            insert(&mut driver).expect("written");
            driver.commit();
            assert_eq!(tick_and_read(&mut client, QUEUE), ["late"], "{kind:?} {level}");
        }
    }
}

pub(super) fn what_the_server_refuses_leaves_the_connection_usable<D: Driver>() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "driver");
        let mut driver = D::connect(&database.conninfo());
        let single = driver.insert_event(QUEUE, "t", "nul \0").expect_err("NUL");
        driver.begin();
        driver.insert_event(QUEUE, "t", "0").expect("inserted");
        let bad = [NewEvent::new("t", "lost"), NewEvent::new("t", "nul \0")];
        let bulk = driver.bulk_insert(QUEUE, &bad).expect_err("NUL");
        // A failed bulk insert is rolled back to its savepoint.
        driver.insert_event(QUEUE, "t", "1").expect("inserted");
        driver.commit();
        driver.insert_event(QUEUE, "t", "2").expect("inserted");
        for error in [single, bulk] {
            assert!(error.kind() == ErrorKind::Failed && !error.is_connection(), "{error:?}");
            assert_eq!(error.queue(), Some(QUEUE));
            if D::HAS_SQLSTATES {
                assert_eq!(error.sqlstate(), Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE));
            }
        }
        assert_eq!(data(&mut client), numbers(0..3));
    }
}

pub(super) fn a_role_without_rights_is_refused<D: Driver>() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "driver");
        let role = format!("{}_{}", database.name(), unique());
        client.batch_execute(&format!("create role {role} login")).expect("the role is new");
        let mut driver = D::connect(&format!("{} user={role}", database.conninfo()));
        let mut refused = || {
            [
                driver.insert_event(QUEUE, "t", "d").expect_err("no rights"),
                driver.bulk_insert(QUEUE, &events()).expect_err("no rights"),
            ]
        };
        for error in refused() {
            assert!(error.kind() == ErrorKind::Failed && !error.is_connection(), "{error:?}");
            assert!(describe(&error).contains("permission denied"), "{error:?}");
            if D::HAS_SQLSTATES {
                assert_eq!(error.sqlstate(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
            }
        }
        // A member of the writers may insert single events, and none into the tables.
        client.batch_execute(&format!("grant pgq_writer to {role}")).expect("granted");
        driver.insert_event(QUEUE, "t", "0").expect("inserted");
        let error = driver.bulk_insert(QUEUE, &events()).expect_err("no rights");
        assert!(describe(&error).contains("permission denied for table"), "{error:?}");
        drop(driver);
        client.batch_execute(&format!("drop owned by {role}; drop role {role}")).expect("dropped");
        assert_eq!(data(&mut client), numbers(0..1));
    }
}

pub(super) fn a_terminated_session_is_a_connection_error<D: Driver>() {
    let (database, mut client) = database(KINDS[0], "driver");
    for is_bulk in [false, true] {
        let mut driver = D::connect(&database.conninfo());
        driver.begin();
        driver.insert_event(QUEUE, "t", "lost").expect("inserted");
        let ended = "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity \
                     where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";
        client.execute(ended, &[]).expect("ended");
        let error = match is_bulk {
            true => driver.bulk_insert(QUEUE, &events()).expect_err("ended"),
            false => driver.insert_event(QUEUE, "t", "d").expect_err("ended"),
        };
        assert!(error.is_connection() && error.kind() == ErrorKind::Failed, "{error:?}");
    }
    assert_eq!(data(&mut client), numbers(0..0));
}
