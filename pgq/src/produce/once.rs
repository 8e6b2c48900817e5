//! Events that are inserted once for a key.

use std::time::Duration;

use dbscript::param::{Param, text};
use postgres::{GenericClient, Row};

use crate::admin::queue_lookup;
use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::delayed;
use crate::produce::producer::{insert_values, require_no_time};
use crate::schema;
use crate::sql;

/// The result of [`insert_event_once`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InsertedOnce {
    /// The id of the event with the key, which this call or an earlier one has inserted.
    pub id: i64,
    /// Whether this call has inserted the event.
    pub is_new: bool,
}

impl InsertedOnce {
    pub(crate) fn new((id, is_new): (i64, bool)) -> InsertedOnce {
        InsertedOnce { id, is_new }
    }
}

/// Inserts an event unless one with the same key was inserted into the queue and the key is kept: for instance the number
/// of a request that a client may repeat. SQL: `pgq.insert_event_once`, which [`install`](crate::schema::install()) adds to
/// PgQ.
///
/// - The key is kept for `keep` from the call that inserts the event, with microseconds, and then forgotten. A call that
///   finds the key does not prolong the time.
/// - While another transaction is inserting an event with the key, the call waits for its end. After its commit the call
///   returns its event; after its rollback the call inserts its own. A rollback frees the key.
/// - At the levels `repeatable read` and `serializable`, a key that was inserted after the snapshot is a serialization
///   failure (SQLSTATE 40001): begin the transaction again.
///
/// ```no_run
/// use std::time::Duration;
/// use pgq::NewEvent;
///
/// # fn order(client: &mut postgres::Client, request_id: &str) -> Result<(), pgq::Error> {
/// let event = NewEvent::new("order", "book 7");
/// let day = Duration::from_secs(24 * 60 * 60);
/// let inserted = pgq::insert_event_once(client, "orders", request_id, day, &event)?;
/// if !inserted.is_new {
///     println!("event {} has this order already", inserted.id);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - The queue does not exist, or the function is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
/// - The event is delayed or has a time of its own ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
/// - The key is longer than 1000 bytes, or `keep` is zero.
/// - The server refuses, as it refuses [`insert_event`](crate::insert_event).
pub fn insert_event_once(
    client: &mut impl GenericClient,
    queue: &str,
    key: &str,
    keep: Duration,
    event: &NewEvent<'_>,
) -> Result<InsertedOnce, Error> {
    require_plain(queue, event)?;
    let keep = interval(keep);
    let answer = client.query_typed_opt(sql::INSERT_EVENT_ONCE, &values(&queue, event, &key, &keep));
    inserted(queue, answer)
}

/// Refuses a delayed event and one with a time of its own.
pub(crate) fn require_plain(queue: &str, event: &NewEvent<'_>) -> Result<(), Error> {
    match event.at {
        Some(_) => Err(Error::usage("a delayed event cannot be inserted once").on_queue(queue)),
        None => require_no_time(queue, event),
    }
}

/// Writes a duration as an interval of the server.
pub(crate) fn interval(duration: Duration) -> String {
    format!("{}.{:06} s", duration.as_secs(), duration.subsec_micros())
}

/// Returns the values of [`sql::INSERT_EVENT_ONCE`].
pub(crate) fn values<'a>(
    queue: &'a &str,
    event: &'a NewEvent<'_>,
    key: &'a &str,
    keep: &'a String,
) -> [Param<'a>; 9] {
    let [queue, event_type, data, extra1, extra2, extra3, extra4] = insert_values(queue, event);
    [queue, event_type, data, extra1, extra2, extra3, extra4, text(key), text(keep)]
}

/// Reads the answer to [`sql::INSERT_EVENT_ONCE`].
pub(crate) fn inserted(
    queue: &str,
    answer: Result<Option<Row>, postgres::Error>,
) -> Result<InsertedOnce, Error> {
    let failed = |error| delayed::explained(schema::failed_or_missing(FAILED, error).on_queue(queue));
    found(queue, answer.map_err(failed)?.map(|row| (row.get(0), row.get(1))))
}

/// Names the operation in errors.
pub(crate) const FAILED: &str = "cannot insert an event once";

/// Makes the result of a row.
pub(crate) fn found(queue: &str, row: Option<(i64, bool)>) -> Result<InsertedOnce, Error> {
    row.map(InsertedOnce::new).ok_or_else(|| queue_lookup::missing_queue(queue))
}
