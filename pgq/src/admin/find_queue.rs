//! Finding queues, and the errors of those that do not exist.

use crate::error::ErrorKind;
use crate::names::bytes;
use dbscript::printable;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::error::Error;
use crate::names::Name;
use crate::schema;
use crate::shell;

/// At most this many names are listed in an error.
const LISTED: usize = 10;

/// $1 queue. No row: there is no such queue.
const QUEUE_EXISTS: &str = "select true from pgq.queue where queue_name = $1";

/// Fails when PgQ is not installed or the queue does not exist, with the way to mend it.
///
/// # Errors
///
/// As described, and when the server fails.
pub fn require_queue(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    on_queue(client, queue, "cannot look for the queue", QUEUE_EXISTS, &[(&queue, Type::TEXT)]).map(|_| ())
}

/// Returns whether there is a queue.
pub(crate) fn exists(client: &mut impl GenericClient, queue: &str) -> Result<bool, Error> {
    match require_queue(client, queue) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Missing => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs a statement that returns a row for an existing queue and none otherwise. What the error advises then is to
/// create it.
pub(crate) fn on_queue(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Row, Error> {
    find(client, queue, what, statement, values)?.ok_or_else(|| no_queue(queue))
}

/// As [`on_queue`], for what makes no sense on a new queue: the error lists those that there are.
pub(crate) fn on_known_queue(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Row, Error> {
    match find(client, queue, what, statement, values)? {
        Some(row) => Ok(row),
        None => Err(unknown(client, queue)),
    }
}

fn find(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Option<Row>, Error> {
    schema::require(client)?;
    let failed = |error| Error::failed(what).on_queue(queue).caused_by(error);
    client.query_typed_opt(statement, values).map_err(failed)
}

/// Fails when the queue does not exist, with those that there are.
pub(crate) fn require_known(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    let values: [(&(dyn ToSql + Sync), Type); 1] = [(&queue, Type::TEXT)];
    on_known_queue(client, queue, "cannot look for the queue", QUEUE_EXISTS, &values).map(|_| ())
}

/// Returns whether there surely is no such queue.
pub(crate) fn is_gone(client: &mut impl GenericClient, queue: &str) -> bool {
    matches!(exists(client, queue), Ok(false))
}

pub(crate) fn no_queue(queue: &str) -> Error {
    let word = shell::word(queue);
    Error::missing(format!(
        "queue `{queue}` does not exist; `pgqadm CONFIG.ini create {word}` creates it, as `pgq::admin::create_queue` does"
    ))
}

const QUEUE_NAMES: &str = concat!("select ", bytes!("queue_name"), " from pgq.queue order by queue_name");

/// Makes the error of a queue that does not exist, with the names of those that do.
pub(crate) fn unknown(client: &mut impl GenericClient, queue: &str) -> Error {
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let names: Vec<String> = match client.query_typed(QUEUE_NAMES, no_values) {
        Ok(rows) => rows.iter().map(|row| row.get::<_, Name>(0).0).collect(),
        Err(error) => return Error::failed("cannot list the queues").caused_by(error),
    };
    Error::missing(format!("queue `{queue}` does not exist; {}", there_are(&names)))
}

/// Returns which names there are.
pub(crate) fn there_are(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| printable(name).into_owned()).collect();
    match &*names {
        [] => "there are none".to_owned(),
        names if names.len() <= LISTED => format!("there are {}", quoted(names)),
        names => format!("there are {} and {} more", quoted(&names[..LISTED]), names.len() - LISTED),
    }
}

/// Lists names in quotes.
pub(crate) fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
