//! Queues and their consumers: create, register, unregister.

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::{Error, schema, sql};

/// Creates a queue; returns `false` when it was there already. PgQ: `pgq.create_queue`.
///
/// # Errors
///
/// When PgQ is not installed, and when the server refuses.
pub fn create_queue(client: &mut impl GenericClient, queue: &str) -> Result<bool, Error> {
    if queue.is_empty() {
        return Err(Error::usage("a queue's name must not be empty"));
    }
    schema::require(client)?;
    let failed = |error| Error::failed("cannot create the queue").on_queue(queue).caused_by(error);
    let row = client.query_typed_one(sql::CREATE_QUEUE, &[(&queue, Type::TEXT)]).map_err(failed)?;
    Ok(row.get::<_, i32>(0) != 0)
}

/// Fails when PgQ is not installed or the queue does not exist, with the way to mend it.
///
/// # Errors
///
/// As described, and when the server fails.
pub fn require_queue(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    on_queue(client, queue, "cannot look for the queue", sql::QUEUE_EXISTS, &[(&queue, Type::TEXT)])
        .map(|_| ())
}

/// Tells whether a consumer is registered on a queue.
pub(crate) fn is_registered(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    on_queue(client, queue, &format!("cannot look for consumer `{consumer}`"), sql::IS_REGISTERED, &values)
        .map(|row| row.get(0))
}

/// Registers a consumer; its first batch is what comes after the queue's last tick. Returns `false` when it
/// was registered already. PgQ: `pgq.register_consumer`.
///
/// # Errors
///
/// When PgQ is not installed, the queue does not exist or has no tick yet, and when the server refuses.
pub fn register_consumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    on_queue(client, queue, &format!("cannot register consumer `{consumer}`"), sql::REGISTER, &values)
        .map(|row| row.get::<_, i32>(0) != 0)
}

/// Registers a consumer, or moves it, to start behind a given tick; a batch it has open is closed. PgQ:
/// `pgq.register_consumer_at`.
///
/// # Errors
///
/// As [`register_consumer`], and when the queue no longer has the tick.
pub fn register_consumer_at(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    tick: i64,
) -> Result<bool, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&queue, Type::TEXT), (&consumer, Type::TEXT), (&tick, Type::INT8)];
    on_queue(
        client,
        queue,
        &format!("cannot move consumer `{consumer}` to tick {tick}"),
        sql::REGISTER_AT,
        &values,
    )
    .map(|row| row.get::<_, i32>(0) != 0)
}

/// Removes a consumer and its retry events; returns `false` when it was not registered. PgQ:
/// `pgq.unregister_consumer`.
///
/// # Errors
///
/// When PgQ is not installed, the queue does not exist, and when the server refuses.
pub fn unregister_consumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    on_queue(client, queue, &format!("cannot unregister consumer `{consumer}`"), sql::UNREGISTER, &values)
        .map(|row| row.get::<_, i32>(0) != 0)
}

/// Runs a statement that returns a row for an existing queue and none otherwise.
fn on_queue(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Row, Error> {
    schema::require(client)?;
    client
        .query_typed_opt(statement, values)
        .map_err(|error| Error::failed(what).on_queue(queue).caused_by(error))?
        .ok_or_else(|| no_queue(queue))
}

pub(crate) fn no_queue(queue: &str) -> Error {
    Error::missing(format!("queue `{queue}` does not exist; `pgqadm CONFIG.ini create {queue}` creates it"))
}
