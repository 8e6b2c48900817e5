//! The statement for drivers that the crate has no functions for.

use pgq::produce::insert_statement;
use pgq::schema::Kind;
use pgq::{ErrorKind, NewEvent};
use postgres::Client;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};

use crate::buffered::{KINDS, QUEUE, data, database, numbers};
use crate::copying::snapshots::{LEVELS, TAKE_SNAPSHOT};
use crate::copying::{self, rotate, tick_and_read};
use crate::support::queues::{self, UNUSUAL};

/// Runs the statement with texts, as any driver does.
fn insert(client: &mut Client, queue: &str, event: &NewEvent<'_>) -> Result<i64, postgres::Error> {
    let statement = insert_statement(queue, event).expect("no time");
    let values: Vec<(&(dyn ToSql + Sync), Type)> =
        statement.parameters.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
    Ok(client.query_typed_one(statement.sql, &values)?.get("id"))
}

#[test]
fn an_event_belongs_to_the_callers_transaction() {
    for kind in KINDS {
        let (_database, mut client) = database(kind, "driver");
        client.batch_execute("begin").expect("begun");
        insert(&mut client, QUEUE, &NewEvent::text("t", "lost")).expect("inserted");
        client.batch_execute("rollback; begin").expect("begun");
        let first = insert(&mut client, QUEUE, &NewEvent::text("t", "0")).expect("inserted");
        let second = insert(&mut client, QUEUE, &NewEvent::text("t", "1")).expect("inserted");
        client.batch_execute("commit").expect("committed");
        assert!(second > first);
        assert_eq!(data(&mut client), numbers(0..2));
    }
}

#[test]
fn all_columns_are_those_of_the_blocking_function() {
    for kind in KINDS {
        let (_database, mut client) = database(kind, "driver");
        queues::create(&mut client, "blocking");
        let unusual = NewEvent::text(UNUSUAL, UNUSUAL).extra([None, Some(""), Some(UNUSUAL), Some("4")]);
        for event in [unusual, NewEvent::default()] {
            insert(&mut client, QUEUE, &event).expect("inserted");
            pgq::insert_new_event(&mut client, "blocking", &event).expect("inserted");
        }
        let mut texts = |queue: &str| -> queues::Rows {
            queues::events(&mut client, queue).into_iter().map(|row| row[..6].to_vec()).collect()
        };
        assert_eq!(texts(QUEUE), texts("blocking"));
    }
}

#[test]
fn refusals_are_errors_of_the_statement() {
    for kind in KINDS {
        let (_database, mut client) = database(kind, "driver");
        let event = NewEvent::text("t", "d");
        let missing = insert(&mut client, "nope", &event).expect_err("no queue");
        assert!(missing.as_db_error().is_some_and(|error| error.message().contains("queue")), "{missing:?}");
        client.execute("update pgq.queue set queue_disable_insert = true", &[]).expect("updated");
        let disabled = insert(&mut client, QUEUE, &event).expect_err("disabled");
        let expected = pgq::insert_event(&mut client, QUEUE, "t", "d").expect_err("disabled");
        assert_eq!(disabled.code(), expected.sqlstate());
        let timed = event.time(chrono::DateTime::UNIX_EPOCH);
        assert!(insert_statement(QUEUE, &timed).expect_err("a time").kind() == ErrorKind::Usage);
    }
}

#[test]
fn an_insert_behind_a_rotation_fails() {
    for kind in KINDS {
        for level in LEVELS {
            let (database, mut client) = copying::database(kind);
            let mut late = database.client();
            late.batch_execute(&format!("begin isolation level {level}; {TAKE_SNAPSHOT}")).expect("begun");
            rotate(&mut client, QUEUE);
            let event = NewEvent::text("t", "late");
            let error = insert(&mut late, QUEUE, &event).expect_err("the table is not read any more");
            let state = match kind {
                Kind::Own => SqlState::T_R_SERIALIZATION_FAILURE,
                _ => SqlState::INVALID_TEXT_REPRESENTATION,
            };
            assert_eq!(error.code(), Some(&state), "{kind:?}: {error:?}");
            let message = error.as_db_error().expect("of the server").message();
            assert!(message.contains("could not serialize access due to rotation of queue"), "{message}");
            late.batch_execute(&format!("rollback; begin isolation level {level}")).expect("begun");
            insert(&mut late, QUEUE, &event).expect("written");
            late.batch_execute("commit").expect("committed");
            assert_eq!(tick_and_read(&mut client, QUEUE), ["late"], "{kind:?} {level}");
        }
    }
}
