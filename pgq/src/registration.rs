//! Consumers of queues: register, move, unregister.

use postgres::GenericClient;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};

use crate::{Error, queue, sql};

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
    queue::on_queue(client, queue, &format!("cannot register consumer `{consumer}`"), sql::REGISTER, &values)
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
    queue::on_queue(
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
    queue::on_queue(
        client,
        queue,
        &format!("cannot unregister consumer `{consumer}`"),
        sql::UNREGISTER,
        &values,
    )
    .map(|row| row.get::<_, i32>(0) != 0)
}

/// Registers a subconsumer, which shares the consumer's position with others, and the consumer too when it is not
/// there yet. Returns `false` when the subconsumer was registered already. PgQ: `pgq_coop.register_subconsumer`.
///
/// # Errors
///
/// As [`register_consumer`], and when cooperative consumers are not installed ([`Error::is_missing`]).
pub fn register_subconsumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    subconsumer: &str,
) -> Result<bool, Error> {
    let what = format!("cannot register subconsumer `{subconsumer}` of consumer `{consumer}`");
    on_subconsumer(client, (queue, consumer, subconsumer), &what, sql::REGISTER_SUBCONSUMER)
}

/// Removes a subconsumer; the consumer and its position stay. A batch that it has open goes to the others, event by
/// event as after a retry. Returns `false` when it was not registered. PgQ: `pgq_coop.unregister_subconsumer`.
///
/// # Errors
///
/// As [`register_subconsumer`].
pub fn unregister_subconsumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    subconsumer: &str,
) -> Result<bool, Error> {
    let what = format!("cannot unregister subconsumer `{subconsumer}` of consumer `{consumer}`");
    on_subconsumer(client, (queue, consumer, subconsumer), &what, sql::UNREGISTER_SUBCONSUMER)
}

fn on_subconsumer(
    client: &mut impl GenericClient,
    (queue, consumer, subconsumer): (&str, &str, &str),
    what: &str,
    statement: &str,
) -> Result<bool, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&queue, Type::TEXT), (&consumer, Type::TEXT), (&subconsumer, Type::TEXT)];
    let changed =
        queue::on_queue(client, queue, what, statement, &values).map(|row| row.get::<_, i32>(0) != 0);
    changed.map_err(|error| match error.sqlstate() {
        Some(&SqlState::INVALID_SCHEMA_NAME | &SqlState::UNDEFINED_FUNCTION) => Error::missing(
            "cooperative consumers are not installed; `pgqadm CONFIG.ini install` installs them",
        )
        .caused_by(error),
        _ => error,
    })
}

/// Registers a consumer at the position of another one, or moves it there; a batch it has open is closed. Returns
/// `false` when it was registered already.
///
/// Where the other one has a batch open, the position is the beginning of that batch. Events that the other one
/// put aside, for a retry or as failed, are not copied.
///
/// # Errors
///
/// When PgQ is not installed, when the queue does not exist or the other consumer is not registered on it
/// ([`Error::is_missing`]), and when the server refuses.
pub fn register_consumer_copy(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    other: &str,
) -> Result<bool, Error> {
    let Some((tick, _)) = consumer_position(client, queue, other)? else {
        let consumers = queue::quoted(&consumer_names(client, queue)?);
        let there = if consumers.is_empty() { "there are none" } else { &format!("there are {consumers}") };
        return Err(Error::missing(format!("consumer `{other}` is not registered; {there}")).on_queue(queue));
    };
    register_consumer_at(client, queue, consumer, tick)
}

/// Returns the tick at which a consumer stands, and the batch that it has open; `None` when it is not registered,
/// or shares the position of another one.
///
/// # Errors
///
/// When PgQ is not installed, the queue does not exist ([`Error::is_missing`]), and when the server fails.
pub fn consumer_position(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<Option<(i64, Option<i64>)>, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    let what = format!("cannot look for consumer `{consumer}`");
    let row = queue::on_queue(client, queue, &what, sql::CONSUMER_POSITION, &values)?;
    Ok(row.get::<_, Option<i64>>(0).map(|tick| (tick, row.get(1))))
}

fn consumer_names(client: &mut impl GenericClient, queue: &str) -> Result<Vec<String>, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 1] = [(&queue, Type::TEXT)];
    let row = queue::on_queue(client, queue, "cannot list the consumers", sql::CONSUMER_NAMES, &values)?;
    Ok(row.get(0))
}

/// Tells whether a consumer is registered on a queue.
pub(crate) fn is_registered(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    queue::on_queue(
        client,
        queue,
        &format!("cannot look for consumer `{consumer}`"),
        sql::IS_REGISTERED,
        &values,
    )
    .map(|row| row.get(0))
}

/// Tells whether a queue has a tick.
pub(crate) fn knows_tick(client: &mut impl GenericClient, queue: &str, tick: i64) -> Result<bool, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&tick, Type::INT8)];
    let row = client.query_typed_one(sql::TICK_EXISTS, &values);
    let failed = |error| Error::failed("cannot look for a tick").on_queue(queue).caused_by(error);
    row.map(|row| row.get(0)).map_err(failed)
}
