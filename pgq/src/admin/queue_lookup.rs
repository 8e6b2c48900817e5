//! Looking queues up, and the errors for queues that do not exist.

use crate::error::ErrorKind;
use crate::names::bytes;
use dbscript::param::{NO_PARAMS, Param, text};
use dbscript::printable;
use postgres::{GenericClient, Row};

use crate::error::{At, Error};
use crate::names::Name;
use crate::schema;
use crate::shell;

/// The number of names that an error lists at most.
const MAX_LISTED: usize = 10;

/// $1 queue. No row: the queue does not exist.
const QUEUE_EXISTS: &str = "select true from pgq.queue where queue_name = $1";

/// Fails when PgQ is not installed or the queue does not exist. The error names the command that installs or creates
/// it.
///
/// # Errors
///
/// As described ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the server fails.
pub fn require_queue(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    query_queue(client, queue, "cannot look up the queue", QUEUE_EXISTS, &[text(&queue)]).map(|_| ())
}

/// Returns whether a queue exists.
pub(crate) fn exists(client: &mut impl GenericClient, queue: &str) -> Result<bool, Error> {
    match require_queue(client, queue) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Missing => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs a statement that returns one row for an existing queue and no row otherwise. The error for a missing queue
/// advises to create it.
pub(crate) fn query_queue(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[Param<'_>],
) -> Result<Row, Error> {
    find(client, queue, what, statement, values)?.ok_or_else(|| missing_queue(queue))
}

/// As [`query_queue`], for a statement that makes no sense on a new queue: the error for a missing queue lists the
/// existing ones.
pub(crate) fn query_listed_queue(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[Param<'_>],
) -> Result<Row, Error> {
    match find(client, queue, what, statement, values)? {
        Some(row) => Ok(row),
        None => Err(unknown_queue(client, queue)),
    }
}

fn find(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[Param<'_>],
) -> Result<Option<Row>, Error> {
    schema::require(client)?;
    let failed = |error| At::queue(queue).failed(what, error);
    client.query_typed_opt(statement, values).map_err(failed)
}

/// Fails when the queue does not exist. The error lists the existing queues.
pub(crate) fn require_listed(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    let values = [text(&queue)];
    query_listed_queue(client, queue, "cannot look up the queue", QUEUE_EXISTS, &values).map(|_| ())
}

/// Returns whether a queue certainly does not exist; `false` when the server fails.
pub(crate) fn is_dropped(client: &mut impl GenericClient, queue: &str) -> bool {
    matches!(exists(client, queue), Ok(false))
}

/// Makes the error for a queue that does not exist, with advice to create it.
pub(crate) fn missing_queue(queue: &str) -> Error {
    let argument = shell::quote(queue);
    Error::missing(format!(
        "queue `{queue}` does not exist; run `pgqadm CONFIG.ini create {argument}` or `pgq::admin::create_queue`"
    ))
}

const QUEUE_NAMES: &str = concat!("select ", bytes!("queue_name"), " from pgq.queue order by queue_name");

/// Makes the error for a queue that does not exist, with the names of the existing queues.
pub(crate) fn unknown_queue(client: &mut impl GenericClient, queue: &str) -> Error {
    let names: Vec<String> = match client.query_typed(QUEUE_NAMES, NO_PARAMS) {
        Ok(rows) => rows.iter().map(|row| row.get::<_, Name>(0).0).collect(),
        Err(error) => return Error::failed("cannot list the queues").caused_by(error),
    };
    Error::missing(format!("queue `{queue}` does not exist; {}", list_of_names(&names)))
}

/// Returns a clause that lists names, at most [`MAX_LISTED`] of them.
pub(crate) fn list_of_names(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| printable(name).into_owned()).collect();
    match &*names {
        [] => "there are none".to_owned(),
        names if names.len() <= MAX_LISTED => format!("there are {}", quoted(names)),
        names => format!("there are {} and {} more", quoted(&names[..MAX_LISTED]), names.len() - MAX_LISTED),
    }
}

/// Returns names in backticks, separated by commas.
pub(crate) fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
