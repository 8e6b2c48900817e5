//! Inserts events in the caller's transaction.

use diesel::connection::SimpleConnection;
use diesel::result::Error as DieselError;
use diesel::{Connection, OptionalExtension, PgConnection, RunQueryDsl};

use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::chunk::{self, Chunk, fresh};
use crate::produce::copy::rotated;
use crate::produce::diesel_query::{self, InsertedRow, TableRow, driver_error, failed};
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
    require_no_time(queue, event)?;
    let answer = diesel_query::insert_event(queue, event).get_result::<InsertedRow>(connection).optional();
    let answer = answer.map_err(|error| failed(queue, "cannot insert an event", error))?;
    match fresh(queue, answer.map(Into::into))? {
        Some(id) => Ok(id),
        None => Err(raise_rotated(connection, queue)),
    }
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
    let mut events = events.into_iter();
    let inserted = connection.transaction(|connection| {
        let statement = chunk::insert(&event_table(connection, queue)?);
        let mut inserted = 0;
        while let Some(chunk) = Chunk::next(&mut events) {
            inserted += diesel_query::insert_chunk(&statement, &chunk).execute(connection)? as u64;
        }
        Ok(inserted)
    });
    inserted.map_err(|failure| match failure {
        Failure::Queue(error) => error,
        Failure::Driver(error) => failed(queue, "cannot insert events", error),
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
