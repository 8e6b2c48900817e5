//! Inserts events in the caller's transaction.

use std::time::Duration;

use diesel::{OptionalExtension, QueryResult};
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection, TransactionManager,
};

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
pub async fn insert_event(
    connection: &mut AsyncPgConnection,
    queue: &str,
    event_type: &str,
    data: &str,
) -> Result<i64, Error> {
    insert_new_event(connection, queue, &NewEvent::new(event_type, data)).await
}

/// Inserts an event; returns its id. See [`insert_new_event`](crate::insert_new_event()).
///
/// # Errors
///
/// As [`insert_event`], and when the event has a [time](NewEvent::time) of its own
/// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
pub async fn insert_new_event(
    connection: &mut AsyncPgConnection,
    queue: &str,
    event: &NewEvent<'_>,
) -> Result<i64, Error> {
    if let Some(due) = delayed::due(event) {
        let insert = diesel_query::insert_delayed(queue, event, due);
        let answer = insert.get_result::<InsertedRow>(connection).await.optional();
        let answer = answer
            .map_err(|error| delayed::explained(failed(queue, "cannot insert a delayed event", error)))?;
        return fresh(queue, answer.map(Into::into))?.ok_or_else(|| missing_queue(queue));
    }
    require_no_time(queue, event)?;
    let answer = diesel_query::insert_event(queue, event).get_result::<InsertedRow>(connection).await;
    let answer = answer.optional().map_err(|error| failed(queue, "cannot insert an event", error))?;
    match fresh(queue, answer.map(Into::into))? {
        Some(id) => Ok(id),
        None => Err(raise_rotated(connection, queue).await),
    }
}

/// Inserts an event unless one with the same key was inserted into the queue. See
/// [`insert_event_once`](crate::insert_event_once()).
///
/// # Errors
///
/// As [`insert_event_once`](crate::insert_event_once()).
pub async fn insert_event_once(
    connection: &mut AsyncPgConnection,
    queue: &str,
    key: &str,
    keep: Duration,
    event: &NewEvent<'_>,
) -> Result<InsertedOnce, Error> {
    once::require_plain(queue, event)?;
    let insert = diesel_query::insert_once(queue, event, key, once::interval(keep));
    let answer = insert.get_result::<OnceRow>(connection).await.optional();
    let answer = answer.map(|row| row.map(Into::into));
    let answer = answer.map_err(|error| delayed::explained(failed(queue, once::FAILED, error)))?;
    once::found(queue, answer)
}

/// Inserts many events, all of them or none, in their order; returns their number. See
/// [`bulk_insert`](crate::bulk_insert()).
///
/// The events go to the server in chunks of up to 4096 events or about 1 MiB, one INSERT each. Within a transaction, the
/// chunks are a savepoint. If the future is dropped, roll the transaction back; if there is none, close the connection.
///
/// # Errors
///
/// When the queue does not exist or is disabled, and when the server fails. The role needs the right to `INSERT` into
/// the event table.
pub async fn bulk_insert<'a>(
    connection: &mut AsyncPgConnection,
    queue: &str,
    events: impl IntoIterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    let broken = |error| failed(queue, BULK, error);
    let events = events.into_iter();
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    if status.transaction_depth().map_err(broken)?.is_some() {
        return insert_in_savepoint(connection, queue, events).await;
    }
    AnsiTransactionManager::begin_transaction(connection).await.map_err(broken)?;
    let inserted = insert_chunks(connection, queue, events).await;
    let ended = match inserted {
        Ok(_) => AnsiTransactionManager::commit_transaction(connection).await,
        Err(_) => AnsiTransactionManager::rollback_transaction(connection).await,
    };
    end(queue, inserted, ended)
}

const BULK: &str = "cannot insert events";

/// Inserts within a transaction. A savepoint of `diesel-async` would stay if the future is dropped.
async fn insert_in_savepoint<'a>(
    connection: &mut AsyncPgConnection,
    queue: &str,
    events: impl Iterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    connection.batch_execute(chunk::SAVEPOINT).await.map_err(|error| failed(queue, BULK, error))?;
    let inserted = insert_chunks(connection, queue, events).await;
    let end_statement = if inserted.is_ok() { chunk::RELEASE } else { chunk::ROLL_BACK };
    let ended = connection.batch_execute(end_statement).await;
    end(queue, inserted, ended)
}

/// Returns the error of the insert, which says more than that of its end.
fn end(queue: &str, inserted: Result<u64, Error>, ended: QueryResult<()>) -> Result<u64, Error> {
    let inserted = inserted?;
    ended.map_err(|error| failed(queue, BULK, error))?;
    Ok(inserted)
}

async fn insert_chunks<'a>(
    connection: &mut AsyncPgConnection,
    queue: &str,
    events: impl Iterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    let mut delayed = Vec::new();
    let mut events = delayed::split(events, &mut delayed);
    let statement = chunk::insert(&event_table(connection, queue).await?);
    let mut inserted = 0;
    while let Some(chunk) = Chunk::next(&mut events) {
        let done = diesel_query::insert_chunk(&statement, &chunk).execute(connection).await;
        inserted += done.map_err(|error| failed(queue, BULK, error))? as u64;
    }
    drop(events);
    let mut delayed = delayed.into_iter();
    while let Some(chunk) = Chunk::next(&mut delayed) {
        let insert = diesel_query::insert_all_delayed(queue, &chunk);
        let count = insert.get_result::<CountRow>(connection).await;
        let count = count.map_err(|error| delayed::explained(failed(queue, BULK, error)))?;
        inserted += count.count.unsigned_abs();
    }
    Ok(inserted)
}

/// Returns the table of a queue's new events, quoted. It is the right one until the end of the transaction.
async fn event_table(connection: &mut AsyncPgConnection, queue: &str) -> Result<String, Error> {
    let answer = diesel_query::event_table(queue).get_result::<TableRow>(connection).await.optional();
    let answer = answer.map_err(|error| failed(queue, "cannot write to the queue", error))?;
    match fresh(queue, answer.map(Into::into))? {
        Some(name) => Ok(name),
        None => Err(raise_rotated(connection, queue).await),
    }
}

/// Fails the transaction because of a rotation after its snapshot; returns the error.
async fn raise_rotated(connection: &mut AsyncPgConnection, queue: &str) -> Error {
    rotated(queue, connection.batch_execute(&sql::rotated(queue)).await.map_err(driver_error))
}
