//! Inserts events in the caller's transaction.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::result::Error as DieselError;
use diesel::{Connection, OptionalExtension, PgConnection, RunQueryDsl};

use crate::admin::queue_lookup::missing_queue;
use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::chunk::{self, Chunk, fresh};
use crate::produce::copy::rotated;
use crate::produce::delayed;
use crate::produce::diesel_query::{self, CountRow, InsertedRow, OnceRow, TableRow, driver_error, failed};
use crate::produce::once::{self, InsertedOnce};
use crate::produce::producer::require_no_time;
use crate::sql;

/// Inserts an event with a type and data; returns its id. See [`insert_event`](crate::insert_event()).
///
/// # Errors
///
/// When the queue does not exist, and when the server refuses.
pub fn insert_event(
    connection: &mut PgConnection,
    queue: &str,
    event_type: &str,
    data: &str,
) -> Result<i64, Error> {
    insert_new_event(connection, queue, &NewEvent::new(event_type, data))
}

/// Inserts an event; returns its id. See [`insert_new_event`](crate::insert_new_event()).
///
/// # Errors
///
/// As [`insert_event`], and when the event has a [time](NewEvent::time) of its own
/// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
pub fn insert_new_event(
    connection: &mut PgConnection,
    queue: &str,
    event: &NewEvent<'_>,
) -> Result<i64, Error> {
    if let Some(due) = delayed::due(event) {
        let insert = diesel_query::insert_delayed(queue, event, due);
        let answer = insert.get_result::<InsertedRow>(connection).optional();
        let answer = answer
            .map_err(|error| delayed::explained(failed(queue, "cannot insert a delayed event", error)))?;
        return fresh(queue, answer.map(Into::into))?.ok_or_else(|| missing_queue(queue));
    }
    require_no_time(queue, event)?;
    let answer = diesel_query::insert_event(queue, event).get_result::<InsertedRow>(connection).optional();
    let answer = answer.map_err(|error| failed(queue, "cannot insert an event", error))?;
    match fresh(queue, answer.map(Into::into))? {
        Some(id) => Ok(id),
        None => Err(raise_rotated(connection, queue)),
    }
}

/// Inserts an event unless one with the same key was inserted into the queue. See
/// [`insert_event_once`](crate::insert_event_once()).
///
/// # Errors
///
/// As [`insert_event_once`](crate::insert_event_once()).
pub fn insert_event_once(
    connection: &mut PgConnection,
    queue: &str,
    key: &str,
    keep: Duration,
    event: &NewEvent<'_>,
) -> Result<InsertedOnce, Error> {
    once::require_plain(queue, event)?;
    let insert = diesel_query::insert_once(queue, event, key, once::interval(keep));
    let answer = insert.get_result::<OnceRow>(connection).optional();
    let answer = answer.map(|row| row.map(Into::into));
    let answer = answer.map_err(|error| delayed::explained(failed(queue, once::FAILED, error)))?;
    once::found(queue, answer)
}

/// Inserts many events, all of them or none, in their order; returns their number. See
/// [`bulk_insert`](crate::bulk_insert()).
///
/// The events go to the server in chunks of up to 4096 events or about 1 MiB, one INSERT each. Within a transaction, the
/// chunks are a savepoint.
///
/// # Errors
///
/// When the queue does not exist or is disabled, and when the server fails. The role needs the right to `INSERT` into
/// the event table.
pub fn bulk_insert<'a>(
    connection: &mut PgConnection,
    queue: &str,
    events: impl IntoIterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    let inserted = connection.transaction(|connection| {
        let mut delayed = Vec::new();
        let mut events = delayed::split(events, &mut delayed);
        let statement = chunk::insert(&event_table(connection, queue)?);
        let mut inserted = 0;
        while let Some(chunk) = Chunk::next(&mut events) {
            inserted += diesel_query::insert_chunk(&statement, &chunk).execute(connection)? as u64;
        }
        drop(events);
        let mut delayed = delayed.into_iter();
        while let Some(chunk) = Chunk::next(&mut delayed) {
            let count = diesel_query::insert_all_delayed(queue, &chunk).get_result::<CountRow>(connection)?;
            inserted += count.count.unsigned_abs();
        }
        Ok(inserted)
    });
    inserted.map_err(|failure| match failure {
        Failure::Queue(error) => error,
        Failure::Driver(error) => delayed::explained(failed(queue, "cannot insert events", error)),
    })
}

/// The error within a transaction of `diesel`, which reports its own errors in the same type.
enum Failure {
    Queue(Error),
    Driver(DieselError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Queue(error)
    }
}

impl From<DieselError> for Failure {
    fn from(error: DieselError) -> Failure {
        Failure::Driver(error)
    }
}

/// Returns the table of a queue's new events, quoted. It is the right one until the end of the transaction.
fn event_table(connection: &mut PgConnection, queue: &str) -> Result<String, Error> {
    let answer = diesel_query::event_table(queue).get_result::<TableRow>(connection).optional();
    let answer = answer.map_err(|error| failed(queue, "cannot write to the queue", error))?;
    match fresh(queue, answer.map(Into::into))? {
        Some(name) => Ok(name),
        None => Err(raise_rotated(connection, queue)),
    }
}

/// Fails the transaction because of a rotation after its snapshot; returns the error.
fn raise_rotated(connection: &mut PgConnection, queue: &str) -> Error {
    rotated(queue, connection.batch_execute(&sql::rotated(queue)).map_err(driver_error))
}
