//! Looking queues up, and the errors for queues that do not exist.

use dbscript::param::{NO_PARAMS, Param, text};
use dbscript::printable;
use postgres::{GenericClient, Row};

use crate::error::{At, Error, ErrorKind};
use crate::names::{Name, bytes};
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
    let values = [text(&queue)];
    QueueQuery::new(queue, "cannot look up the queue", QUEUE_EXISTS, &values).row(client).map(|_| ())
}

/// Returns whether a queue exists.
pub(crate) fn exists(client: &mut impl GenericClient, queue: &str) -> Result<bool, Error> {
    match require_queue(client, queue) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Missing => Ok(false),
        Err(error) => Err(error),
    }
}

/// A statement that returns one row for an existing queue and no row otherwise.
pub(crate) struct QueueQuery<'a> {
    queue: &'a str,
    /// The name of the operation, for the error if the server fails.
    what: &'a str,
    statement: &'a str,
    values: &'a [Param<'a>],
}

impl<'a> QueueQuery<'a> {
    pub(crate) fn new(
        queue: &'a str,
        what: &'a str,
        statement: &'a str,
        values: &'a [Param<'a>],
    ) -> QueueQuery<'a> {
        QueueQuery { queue, what, statement, values }
    }

    /// Returns the row. The error for a missing queue advises to create it.
    pub(crate) fn row(&self, client: &mut impl GenericClient) -> Result<Row, Error> {
        self.find(client)?.ok_or_else(|| missing_queue(self.queue))
    }

    /// Returns the row of a statement that makes no sense on a new queue. The error for a missing queue lists the
    /// existing ones.
    pub(crate) fn listed_row(&self, client: &mut impl GenericClient) -> Result<Row, Error> {
        match self.find(client)? {
            Some(row) => Ok(row),
            None => Err(unknown_queue(client, self.queue)),
        }
    }

    fn find(&self, client: &mut impl GenericClient) -> Result<Option<Row>, Error> {
        schema::require(client)?;
        let failed = |error| At::queue(self.queue).failed(self.what, error);
        client.query_typed_opt(self.statement, self.values).map_err(failed)
    }
}

/// Fails when the queue does not exist. The error lists the existing queues.
pub(crate) fn require_listed(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    let values = [text(&queue)];
    QueueQuery::new(queue, "cannot look up the queue", QUEUE_EXISTS, &values).listed_row(client).map(|_| ())
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
