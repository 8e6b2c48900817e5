//! Queues: create, drop.

use std::fmt;

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::{Error, schema, sql};

/// So many names are listed in an error.
const LISTED: usize = 10;

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

/// Drops a queue with its events; returns `false` when it was not there. PgQ: `pgq.drop_queue`.
///
/// With `force`, its consumers are unregistered, and their retry events and failed events go too.
///
/// # Errors
///
/// When PgQ is not installed, when the queue has consumers and nothing is forced, and when the server refuses.
pub fn drop_queue(client: &mut impl GenericClient, queue: &str, force: bool) -> Result<bool, Error> {
    schema::require(client)?;
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&force, Type::BOOL)];
    let failed = |error| Error::failed("cannot drop the queue").on_queue(queue).caused_by(error);
    Ok(client.query_typed_opt(sql::DROP_QUEUE, &values).map_err(failed)?.is_some())
}

/// What goes with a queue when it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueContents {
    /// How many events its tables hold, also those that every consumer has seen; `None` when there are more than
    /// a million, which would take long to count.
    pub events: Option<u64>,
    /// The names of its consumers.
    pub consumers: Vec<String>,
}

impl fmt::Display for QueueContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.events {
            Some(1) => f.write_str("1 event")?,
            Some(events) => write!(f, "{events} events")?,
            None => f.write_str("more than a million events")?,
        }
        match &*self.consumers {
            [] => f.write_str(" and no consumers"),
            [one] => write!(f, " and consumer `{one}`"),
            several => write!(f, " and consumers {}", quoted(several)),
        }
    }
}

/// Returns what would go with a queue; `None` when it does not exist.
///
/// # Errors
///
/// When PgQ is not installed, when the role may not read the queue's tables, and when the server fails.
pub fn queue_contents(client: &mut impl GenericClient, queue: &str) -> Result<Option<QueueContents>, Error> {
    schema::require(client)?;
    let failed = |error| Error::failed("cannot look into the queue").on_queue(queue).caused_by(error);
    let row = client.query_typed_opt(sql::QUEUE_CONTENTS, &[(&queue, Type::TEXT)]).map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let count = client.query_typed_one(&sql::count_events(row.get(0)), no_values).map_err(failed)?;
    Ok(Some(QueueContents {
        events: Some(count.get::<_, i64>(0).unsigned_abs()).filter(|count| *count <= sql::COUNTED_EVENTS),
        consumers: row.get(1),
    }))
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

/// Tells whether there is a queue.
pub(crate) fn exists(client: &mut impl GenericClient, queue: &str) -> Result<bool, Error> {
    match require_queue(client, queue) {
        Ok(()) => Ok(true),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs a statement that returns a row for an existing queue and none otherwise.
pub(crate) fn on_queue(
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

/// Makes the error of a queue that does not exist, with the names of those that do.
pub(crate) fn unknown(client: &mut impl GenericClient, queue: &str) -> Error {
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let names: Vec<String> = match client.query_typed(sql::QUEUE_NAMES, no_values) {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
        Err(error) => return Error::failed("cannot list the queues").caused_by(error),
    };
    let there = match &*names {
        [] => "there are none".to_owned(),
        names if names.len() <= LISTED => format!("there are {}", quoted(names)),
        names => format!("there are {} and {} more", quoted(&names[..LISTED]), names.len() - LISTED),
    };
    Error::missing(format!("queue `{queue}` does not exist; {there}"))
}

/// Lists names in quotes.
pub(crate) fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
