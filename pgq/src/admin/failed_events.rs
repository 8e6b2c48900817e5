//! Failed events: listing, counting, retrying and deleting them.

use crate::sql::failed::columns;
use dbscript::param::{Param, int4, int8, text};
use postgres::error::SqlState;
use postgres::{GenericClient, Row};

use crate::admin::queue_lookup;
use crate::error::Error;
use crate::event::failed_event::FailedEvent;

/// $1 queue, $2 consumer, $3 limit or null, $4 offset. Returns the columns of an event, then those of the failure.
const FAILED_EVENTS: &str =
    concat!("select ", columns!(), " from pgq.failed_event_list($1, $2, $3, $4) order by ev_id");

/// Returns a consumer's failed events in the order of their ids: at most `limit` events, after skipping `offset`. PgQ:
/// `pgq.failed_event_list`.
///
/// All returned events are in memory at once; [`each_failed_event`](crate::admin::each_failed_event) reads any number
/// of events page by page.
///
/// # Errors
///
/// When the queue does not exist, the consumer is not registered, or failed events are not installed
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the server fails.
pub fn failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    limit: Option<u32>,
    offset: u32,
) -> Result<Vec<FailedEvent>, Error> {
    let limit = limit.map(saturate);
    let offset = saturate(offset);
    let values = [text(&queue), text(&consumer), int4(&limit), int4(&offset)];
    let what = format!("cannot list the failed events of consumer `{consumer}`");
    let rows = query(client, queue, &what, FAILED_EVENTS, &values)?;
    Ok(rows.iter().map(FailedEvent::new).collect())
}

/// $1 queue, $2 consumer, $3 the id of the event after which the page begins, or null, $4 limit, $5 the length to which
/// texts are cut. Returns the columns of an event, then those of the failure.
const FAILED_EVENT_PAGE: &str = concat!(
    "select ",
    columns!(),
    " from (select ev_id, ev_time, ev_txid, ev_retry, pg_catalog.left(ev_type, $5) as ev_type, \
         pg_catalog.left(ev_data, $5) as ev_data, pg_catalog.left(ev_extra1, $5) as ev_extra1, \
         pg_catalog.left(ev_extra2, $5) as ev_extra2, pg_catalog.left(ev_extra3, $5) as ev_extra3, \
         pg_catalog.left(ev_extra4, $5) as ev_extra4, pg_catalog.left(ev_failed_reason, $5) as ev_failed_reason, \
         ev_failed_time from pgq.failed_event_page($1, $2, $3, $4)) page order by ev_id"
);

/// Returns a page of a consumer's failed events in the order of their ids, for display: at most `limit` events with an
/// id above `after`, or the first ones. Each text is cut after `max_chars` characters, so that a page stays small. PgQ:
/// `pgq.failed_event_page`.
///
/// More events than `limit` are returned if several share the last id.
///
/// # Errors
///
/// As [`failed_events`].
pub fn failed_event_page(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    after: Option<i64>,
    limit: u32,
    max_chars: u32,
) -> Result<Vec<FailedEvent>, Error> {
    let (limit, max_chars) = (saturate(limit), saturate(max_chars));
    let values = [text(&queue), text(&consumer), int8(&after), int4(&limit), int4(&max_chars)];
    let what = format!("cannot list the failed events of consumer `{consumer}`");
    let rows = query(client, queue, &what, FAILED_EVENT_PAGE, &values)?;
    Ok(rows.iter().map(FailedEvent::new).collect())
}

/// $1 queue, $2 consumer.
const COUNT_FAILED_EVENTS: &str = "select pgq.failed_event_count($1, $2)";

/// Returns the number of a consumer's failed events. PgQ: `pgq.failed_event_count`.
///
/// # Errors
///
/// As [`failed_events`].
pub fn count_failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<u64, Error> {
    let values = [text(&queue), text(&consumer)];
    let what = format!("cannot count the failed events of consumer `{consumer}`");
    let rows = query(client, queue, &what, COUNT_FAILED_EVENTS, &values)?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i32>(0).unsigned_abs().into()))
}

/// $1 queue, $2 consumer, $3 event.
const RETRY_FAILED_EVENT: &str = "select pgq.failed_event_retry($1, $2, $3)";

/// Moves a failed event back into its queue. After the next tick the event is redelivered to this consumer only, with
/// [`Event::retry`](crate::Event::retry) one higher. PgQ: `pgq.failed_event_retry`.
///
/// # Errors
///
/// As [`failed_events`], when the consumer has no such failed event
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when inserting into the queue is disabled.
pub fn retry_failed_event(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    event: i64,
) -> Result<(), Error> {
    run_on_event(client, queue, consumer, event, "retry", RETRY_FAILED_EVENT)
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
    run_on_event(client, queue, consumer, event, "delete", DELETE_FAILED_EVENT)
}

fn run_on_event(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    event: i64,
    verb: &str,
    statement: &str,
) -> Result<(), Error> {
    let values = [text(&queue), text(&consumer), int8(&event)];
    let what = format!("cannot {verb} a failed event of consumer `{consumer}`");
    query(client, queue, &what, statement, &values).map(|_| ()).map_err(|error| error.at_event(event))
}

/// Runs a statement about failed events on an existing queue.
pub(crate) fn query(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[Param<'_>],
) -> Result<Vec<Row>, Error> {
    queue_lookup::require_listed(client, queue)?;
    client.query_typed(statement, values).map_err(|error| classified(queue, what, error))
}

/// Makes the error of a statement about failed events: of the kind `Missing` for a missing object, else `Failed`.
pub(crate) fn classified(queue: &str, what: &str, error: postgres::Error) -> Error {
    match error.code() {
        Some(&SqlState::UNDEFINED_FUNCTION) => Error::missing(
            "failed events are not installed, or are of an older release; run `pgqadm CONFIG.ini install` or `pgq::schema::install`",
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
