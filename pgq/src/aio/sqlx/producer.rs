//! Inserts events in the caller's transaction.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::failure::{driver_error, failed};
use crate::admin::queue_lookup::missing_queue;
use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::chunk::{self, Chunk, fresh};
use crate::produce::copy::{TransactionUse, rotated};
use crate::produce::delayed;
use crate::produce::once::{self, InsertedOnce};
use crate::produce::producer::require_no_time;
use crate::sql;

/// Inserts an event with a type and data; returns its id. See [`insert_event`](crate::insert_event()).
///
/// # Errors
///
/// When the queue does not exist, and when the server refuses.
pub async fn insert_event(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
    queue: &str,
    event: &NewEvent<'_>,
) -> Result<i64, Error> {
    if let Some(due) = delayed::due(event) {
        return insert_delayed(connection, queue, event, due).await;
    }
    require_no_time(queue, event)?;
    let insert = sqlx::query_as(sql::INSERT_EVENT).bind(queue);
    let insert = event.texts().into_iter().fold(insert, |insert, text| insert.bind(text));
    let answer = insert.fetch_optional(&mut *connection).await;
    match fresh(queue, answer.map_err(|error| failed(queue, "cannot insert an event", error))?)? {
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
    connection: &mut PgConnection,
    queue: &str,
    key: &str,
    keep: Duration,
    event: &NewEvent<'_>,
) -> Result<InsertedOnce, Error> {
    once::require_plain(queue, event)?;
    let insert = sqlx::query_as(sql::INSERT_EVENT_ONCE).bind(queue);
    let insert = event.texts().into_iter().fold(insert, |insert, text| insert.bind(text));
    let answer = insert.bind(key).bind(once::interval(keep)).fetch_optional(&mut *connection).await;
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
    connection: &mut PgConnection,
    queue: &str,
    events: impl IntoIterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    let events = events.into_iter();
    if connection.is_in_transaction() {
        return insert_in_savepoint(connection, queue, events).await;
    }
    let mut transaction = connection.begin().await.map_err(|error| failed(queue, BULK, error))?;
    let inserted = insert_chunks(&mut transaction, queue, events).await?;
    transaction.commit().await.map_err(|error| failed(queue, BULK, error))?;
    Ok(inserted)
}

const BULK: &str = "cannot insert events";

/// Inserts within a transaction. A savepoint of `sqlx` whose `begin` is dropped would end the transaction around it.
async fn insert_in_savepoint<'a>(
    connection: &mut PgConnection,
    queue: &str,
    events: impl Iterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    let broken = |error| failed(queue, BULK, error);
    connection.execute(chunk::SAVEPOINT).await.map_err(broken)?;
    let inserted = insert_chunks(connection, queue, events).await;
    let end = if inserted.is_ok() { chunk::RELEASE } else { chunk::ROLL_BACK };
    let ended = connection.execute(end).await;
    // The error of the insert says more than that of its end.
    let inserted = inserted?;
    ended.map_err(broken)?;
    Ok(inserted)
}

async fn insert_chunks<'a>(
    connection: &mut PgConnection,
    queue: &str,
    events: impl Iterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    let mut delayed = Vec::new();
    let mut events = delayed::split(events, &mut delayed);
    let statement = chunk::insert(&event_table(connection, queue).await?);
    let mut inserted = 0;
    while let Some(chunk) = Chunk::next(&mut events) {
        let insert = sqlx::query(AssertSqlSafe(statement.as_str())).persistent(false);
        let insert = chunk.texts().into_iter().fold(insert, |insert, texts| insert.bind(texts));
        let done = insert.bind(chunk.times()).execute(&mut *connection).await;
        inserted += done.map_err(|error| failed(queue, BULK, error))?.rows_affected();
    }
    drop(events);
    let mut delayed = delayed.into_iter();
    while let Some(chunk) = Chunk::next(&mut delayed) {
        let insert = sqlx::query_scalar::<_, i64>(sql::INSERT_ALL_DELAYED).bind(queue);
        let insert = chunk.texts().into_iter().fold(insert, |insert, texts| insert.bind(texts));
        let count = insert.bind(chunk.dues()).fetch_one(&mut *connection).await;
        let count = count.map_err(|error| delayed::explained(failed(queue, BULK, error)))?;
        inserted += count.unsigned_abs();
    }
    Ok(inserted)
}

/// Inserts a delayed event; returns its id.
async fn insert_delayed(
    connection: &mut PgConnection,
    queue: &str,
    event: &NewEvent<'_>,
    due: String,
) -> Result<i64, Error> {
    let insert = sqlx::query_as(sql::INSERT_DELAYED).bind(queue);
    let insert = event.texts().into_iter().fold(insert, |insert, text| insert.bind(text)).bind(due);
    let answer = insert.fetch_optional(&mut *connection).await;
    let answer =
        answer.map_err(|error| delayed::explained(failed(queue, "cannot insert a delayed event", error)))?;
    fresh(queue, answer)?.ok_or_else(|| missing_queue(queue))
}

/// Returns the table of a queue's new events, quoted. It is the right one until the end of the transaction.
async fn event_table(connection: &mut PgConnection, queue: &str) -> Result<String, Error> {
    let [lifts, waits] = TransactionUse::Shared.settings();
    let table = sqlx::query_as::<_, Table>(sql::CURRENT_EVENT_TABLE).bind(queue).bind(lifts).bind(waits);
    let answer = table.fetch_optional(&mut *connection).await;
    let answer = answer.map_err(|error| failed(queue, "cannot write to the queue", error))?;
    match fresh(queue, answer.map(|table| (Some(table.name), table.is_stale)))? {
        Some(name) => Ok(name),
        None => Err(raise_rotated(connection, queue).await),
    }
}

/// The answer to [`sql::CURRENT_EVENT_TABLE`].
struct Table {
    name: String,
    is_stale: bool,
}

impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for Table {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> Result<Table, sqlx::Error> {
        use sqlx::Row;
        Ok(Table { name: row.try_get("name")?, is_stale: row.try_get("stale")? })
    }
}

/// Fails the transaction because of a rotation after its snapshot; returns the error.
async fn raise_rotated(connection: &mut PgConnection, queue: &str) -> Error {
    let answer = connection.execute(AssertSqlSafe(sql::rotated(queue))).await;
    rotated(queue, answer.map(|_| ()).map_err(driver_error))
}
