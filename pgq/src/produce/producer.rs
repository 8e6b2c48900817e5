//! Inserts events, one by one or in bulk, in the caller's transaction.

use dbscript::param::{Param, text};
use postgres::{GenericClient, Row};

use crate::admin::queue_lookup;
use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::bulk_insert::{BulkInsert, failed};
use crate::produce::copy::rotated;
use crate::produce::delayed;
use crate::schema;
use crate::sql;

/// Inserts an event with a type and data; returns its id. PgQ: `pgq.insert_event`.
///
/// Within a transaction, the event belongs to it: the event exists if and only if the transaction commits. Dereference
/// a connection of a pool.
///
/// ```no_run
/// # fn new_user(client: &mut postgres::Client, name: &str) -> Result<(), pgq::BoxError> {
/// let mut transaction = client.transaction()?;
/// transaction.execute("insert into users (name) values ($1)", &[&name])?;
/// pgq::insert_event(&mut transaction, "mailer", "welcome", name)?;
/// transaction.commit()?;
/// # Ok(())
/// # }
/// # fn pooled(mut connection: impl std::ops::DerefMut<Target = postgres::Client>) -> Result<(), pgq::Error> {
/// // `connection` is what an `r2d2` pool lends.
/// pgq::insert_event(&mut *connection, "mailer", "welcome", "jane")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the queue does not exist, and when the server refuses.
pub fn insert_event(
    client: &mut impl GenericClient,
    queue: &str,
    event_type: &str,
    data: &str,
) -> Result<i64, Error> {
    insert_new_event(client, queue, &NewEvent::new(event_type, data))
}

/// Inserts an event; returns its id. Its time is the server's. PgQ: `pgq.insert_event`.
///
/// Of a [delayed](NewEvent::at) event, returns the id by which it can be cancelled.
///
/// # Errors
///
/// As [`insert_event`], and when the event has a [time](NewEvent::time) of its own
/// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)), which only inserting in bulk can store. For a delayed
/// event, when these are not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
pub fn insert_new_event(
    client: &mut impl GenericClient,
    queue: &str,
    event: &NewEvent<'_>,
) -> Result<i64, Error> {
    if let Some(due) = delayed::due(event) {
        let values = delayed_values(&queue, event, &due);
        return delayed_id(queue, client.query_typed_opt(sql::INSERT_DELAYED, &values));
    }
    require_no_time(queue, event)?;
    let values = insert_values(&queue, event);
    if let Some(id) = inserted(queue, client.query_typed_opt(sql::INSERT_EVENT_READ_COMMITTED, &values))? {
        return Ok(id);
    }
    match inserted(queue, client.query_typed_opt(sql::INSERT_EVENT, &values))? {
        Some(id) => Ok(id),
        None => Err(rotated(queue, client.batch_execute(&sql::rotated(queue)))),
    }
}

/// Refuses a time of the event: `pgq.insert_event` has no parameter for it.
pub(crate) fn require_no_time(queue: &str, event: &NewEvent<'_>) -> Result<(), Error> {
    match event.time {
        Some(_) => {
            Err(Error::usage("an event's time can only be set when inserting in bulk").on_queue(queue))
        }
        None => Ok(()),
    }
}

/// Returns the values of [`sql::INSERT_EVENT`].
pub(crate) fn insert_values<'a>(queue: &'a &str, event: &'a NewEvent<'_>) -> [Param<'a>; 7] {
    let [extra1, extra2, extra3, extra4] = &event.extra;
    [
        text(queue),
        text(&event.event_type),
        text(&event.data),
        text(extra1),
        text(extra2),
        text(extra3),
        text(extra4),
    ]
}

/// Returns the values of [`sql::INSERT_DELAYED`].
pub(crate) fn delayed_values<'a>(
    queue: &'a &str,
    event: &'a NewEvent<'_>,
    due: &'a String,
) -> [Param<'a>; 8] {
    let [queue, event_type, data, extra1, extra2, extra3, extra4] = insert_values(queue, event);
    [queue, event_type, data, extra1, extra2, extra3, extra4, text(due)]
}

/// Returns the id out of the answer to [`sql::INSERT_DELAYED`].
pub(crate) fn delayed_id(queue: &str, answer: Result<Option<Row>, postgres::Error>) -> Result<i64, Error> {
    let row = answer.map_err(|error| delayed::failed(queue, error))?;
    Ok(row.ok_or_else(|| queue_lookup::missing_queue(queue))?.get(0))
}

/// Returns the id out of the answer to [`sql::INSERT_EVENT`] or [`sql::INSERT_EVENT_READ_COMMITTED`]; `None`: the event was
/// not inserted because of the transaction's snapshot.
pub(crate) fn inserted(
    queue: &str,
    answer: Result<Option<Row>, postgres::Error>,
) -> Result<Option<i64>, Error> {
    let failed = |error| schema::failed_or_missing("cannot insert an event", error).on_queue(queue);
    let row = answer.map_err(failed)?;
    Ok(row.ok_or_else(|| queue_lookup::missing_queue(queue))?.get(0))
}

/// Inserts many events by COPY, all of them or none; returns their number. [Delayed](NewEvent::at) events are kept in
/// memory until the others are sent, and inserted after them.
///
/// [`BulkInsert`] does the same for events that are made one by one.
///
/// # Errors
///
/// As [`BulkInsert::start`] and [`BulkInsert::finish`].
pub fn bulk_insert<'a>(
    client: &mut impl GenericClient,
    queue: &str,
    events: impl IntoIterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    let failed = |error| failed(queue, error);
    let mut transaction = client.transaction().map_err(failed)?;
    let mut bulk = BulkInsert::start(&mut transaction, queue)?;
    let mut delayed = Vec::new();
    for event in delayed::split(events, &mut delayed) {
        bulk.write(&event)?;
    }
    let inserted = bulk.finish()? + delayed::insert_all(&mut transaction, queue, delayed)?;
    transaction.commit().map_err(failed)?;
    Ok(inserted)
}
