//! Failed events: list, count, retry, delete.

use crate::sql::failed::columns;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::admin::find_queue;
use crate::error::Error;
use crate::event::failed_event::FailedEvent;

/// $1 queue, $2 consumer, $3 limit or null, $4 offset. The columns of an event, then the failure's.
const FAILED_EVENTS: &str =
    concat!("select ", columns!(), " from pgq.failed_event_list($1, $2, $3, $4) order by ev_id");

/// Returns a consumer's failed events in the order of their ids: at most `limit` of them, behind the first
/// `offset`. PgQ: `pgq.failed_event_list`.
///
/// All of them come into memory; [`each_failed_event`](crate::admin::each_failed_event) goes through a large store.
///
/// # Errors
///
/// When the queue, the consumer's registration or the store itself is missing
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the server fails.
pub fn failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    limit: Option<u32>,
    offset: u32,
) -> Result<Vec<FailedEvent>, Error> {
    let limit = limit.map(saturate);
    let values: [(&(dyn ToSql + Sync), Type); 4] = [
        (&queue, Type::TEXT),
        (&consumer, Type::TEXT),
        (&limit, Type::INT4),
        (&saturate(offset), Type::INT4),
    ];
    let what = format!("cannot list the failed events of consumer `{consumer}`");
    let rows = on_store(client, queue, &what, FAILED_EVENTS, &values)?;
    Ok(rows.iter().map(FailedEvent::new).collect())
}

/// $1 queue, $2 consumer.
const COUNT_FAILED_EVENTS: &str = "select pgq.failed_event_count($1, $2)";

/// Returns how many failed events a consumer has. PgQ: `pgq.failed_event_count`.
///
/// # Errors
///
/// As [`failed_events`].
pub fn count_failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<u64, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    let what = format!("cannot count the failed events of consumer `{consumer}`");
    let rows = on_store(client, queue, &what, COUNT_FAILED_EVENTS, &values)?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i32>(0).unsigned_abs().into()))
}

/// $1 queue, $2 consumer, $3 event.
const RETRY_FAILED_EVENT: &str = "select pgq.failed_event_retry($1, $2, $3)";

/// Moves a failed event back into its queue: after the next tick this consumer, and no other, gets it again,
/// with [`Event::retry`](crate::Event::retry) one higher. PgQ: `pgq.failed_event_retry`.
///
/// # Errors
///
/// As [`failed_events`], when the consumer has no such failed event
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the queue takes no events.
pub fn retry_failed_event(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    event: i64,
) -> Result<(), Error> {
    on_event(client, queue, consumer, event, "retry", RETRY_FAILED_EVENT)
}

/// $1 queue, $2 consumer, $3 event.
const DELETE_FAILED_EVENT: &str = "select pgq.failed_event_delete($1, $2, $3)";

/// Deletes a failed event. PgQ: `pgq.failed_event_delete`.
///
/// # Errors
///
/// As [`failed_events`], and when the consumer has no such failed event
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
pub fn delete_failed_event(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    event: i64,
) -> Result<(), Error> {
    on_event(client, queue, consumer, event, "delete", DELETE_FAILED_EVENT)
}

fn on_event(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    event: i64,
    verb: &str,
    statement: &str,
) -> Result<(), Error> {
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&queue, Type::TEXT), (&consumer, Type::TEXT), (&event, Type::INT8)];
    let what = format!("cannot {verb} a failed event of consumer `{consumer}`");
    on_store(client, queue, &what, statement, &values).map(|_| ()).map_err(|error| error.at_event(event))
}

/// Runs a statement of the store on an existing queue.
pub(crate) fn on_store(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<Row>, Error> {
    find_queue::require_known(client, queue)?;
    client.query_typed(statement, values).map_err(|error| refused(queue, what, error))
}

/// Distinguishes what is missing from what fails.
pub(crate) fn refused(queue: &str, what: &str, error: postgres::Error) -> Error {
    match error.code() {
        Some(&SqlState::UNDEFINED_FUNCTION) => Error::missing(
            "failed events are not installed, or by an older release; `pgqadm CONFIG.ini install` or `pgq::schema::install` installs them",
        ),
        Some(&(SqlState::UNDEFINED_OBJECT | SqlState::NO_DATA_FOUND)) => Error::missing(what),
        Some(_) => Error::failed(what),
        None => return Error::failed(what).caused_by(error),
    }
    .caused_by(error)
    .on_queue(queue)
}

fn saturate(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
