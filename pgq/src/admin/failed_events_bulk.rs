//! Failed events in bulk: iterating over them, retrying, deleting and purging them.

use crate::sql::failed::columns;
use std::ops::ControlFlow;

use dbscript::param::{float8, int4, int8, int8_array, text};
use fallible_iterator::FallibleIterator;
use postgres::GenericClient;

use crate::admin::failed_events::{classified, query};
use crate::admin::queue_lookup;
use crate::error::Error;
use crate::event::failed_event::FailedEvent;

/// The number of events that are read, moved or deleted at a time.
const PAGE: i32 = 1000;

/// $1 queue, $2 consumer, $3 the id of the event after which the page begins, or null, $4 limit. Returns the columns of
/// an event, then those of the failure.
const FAILED_EVENT_PAGE: &str =
    concat!("select ", columns!(), " from pgq.failed_event_page($1, $2, $3, $4) order by ev_id");

/// Calls `each` with each of a consumer's failed events, in the order of their ids, until `each` returns
/// [`ControlFlow::Break`]. Returns the number of calls. One event at a time is in memory.
///
/// Each page of 1,000 events is read in a transaction of its own, so that a long list does not hold a snapshot open.
/// Events that fail meanwhile may be included.
///
/// # Errors
///
/// As [`failed_events`](crate::admin::failed_events).
pub fn each_failed_event(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    mut each: impl FnMut(FailedEvent) -> ControlFlow<()>,
) -> Result<u64, Error> {
    let what = format!("cannot list the failed events of consumer `{consumer}`");
    let failed = |error| classified(queue, &what, error);
    queue_lookup::require_listed(client, queue)?;
    let mut after: Option<i64> = None;
    let mut total = 0;
    loop {
        let values = [text(&queue), text(&consumer), int8(&after), int4(&PAGE)];
        let mut rows = client.query_typed_raw(FAILED_EVENT_PAGE, values).map_err(failed)?;
        let before = total;
        while let Some(row) = rows.next().map_err(failed)? {
            let event = FailedEvent::new(&row);
            after = Some(event.id());
            total += 1;
            if each(event).is_break() {
                return Ok(total);
            }
        }
        if total - before < u64::from(PAGE.unsigned_abs()) {
            return Ok(total);
        }
    }
}

/// $1 queue, $2 consumer, $3 event ids.
const RETRY_FAILED_EVENTS: &str = "select pgq.failed_event_retry_many($1, $2, $3)";

/// Moves failed events back into their queue, as [`retry_failed_event`](crate::admin::retry_failed_event) does, in one
/// transaction. Returns the number of events. PgQ: `pgq.failed_event_retry_many`.
///
/// # Errors
///
/// As [`retry_failed_event`](crate::admin::retry_failed_event); the error names the first event that the
/// consumer does not have, and nothing is changed then.
pub fn retry_failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    events: &[i64],
) -> Result<u64, Error> {
    FailedEvents { queue, consumer, verb: "retry", statement: RETRY_FAILED_EVENTS }
        .change_listed(client, events)
}

/// $1 queue, $2 consumer, $3 event ids.
const DELETE_FAILED_EVENTS: &str = "select pgq.failed_event_delete_many($1, $2, $3)";

/// Deletes failed events in one transaction. Returns the number of events. PgQ: `pgq.failed_event_delete_many`.
///
/// # Errors
///
/// As [`delete_failed_event`](crate::admin::delete_failed_event); the error names the first event that the
/// consumer does not have, and nothing is changed then.
pub fn delete_failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    events: &[i64],
) -> Result<u64, Error> {
    FailedEvents { queue, consumer, verb: "delete", statement: DELETE_FAILED_EVENTS }
        .change_listed(client, events)
}

/// Moves all of a consumer's failed events back into their queue, 1,000 in a transaction. Returns the number of events.
///
/// # Errors
///
/// As [`failed_events`](crate::admin::failed_events), and when inserting into the queue is disabled.
/// Events that were moved before stay moved.
pub fn retry_all_failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<u64, Error> {
    FailedEvents { queue, consumer, verb: "retry", statement: RETRY_FAILED_EVENTS }.change_all(client, None)
}

/// Deletes a consumer's failed events that failed longer ago than the interval `older_than`, in PostgreSQL's syntax
/// (`7 days`), or all of them with `None`; 1,000 in a transaction. Returns the number of events.
///
/// # Errors
///
/// As [`failed_events`](crate::admin::failed_events), and when the interval is invalid
/// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)). Events that were deleted before stay deleted.
pub fn purge_failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    older_than: Option<&str>,
) -> Result<u64, Error> {
    let before = older_than.map(|interval| time_before(client, interval)).transpose()?;
    FailedEvents { queue, consumer, verb: "delete", statement: DELETE_FAILED_EVENTS }
        .change_all(client, before)
}

/// Fails when a consumer lacks one of the given failed events.
///
/// # Errors
///
/// As described ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and as
/// [`failed_events`](crate::admin::failed_events).
pub fn require_failed_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    events: &[i64],
) -> Result<(), Error> {
    FailedEvents { queue, consumer, verb: "find", statement: "" }.require(client, events)
}

/// Fails when a text is not an interval that [`purge_failed_events`] accepts.
///
/// # Errors
///
/// As described ([`ErrorKind::Usage`](crate::ErrorKind::Usage)), and when the server fails.
pub fn require_interval(client: &mut impl GenericClient, interval: &str) -> Result<(), Error> {
    time_before(client, interval).map(|_| ())
}

/// $1 interval. Returns the time that long ago, in seconds since 1970.
const TIME_BEFORE: &str =
    "select extract(epoch from pg_catalog.now() - $1::pg_catalog.text::interval)::pg_catalog.float8";

/// Returns the time one `interval` ago, in seconds since 1970.
fn time_before(client: &mut impl GenericClient, interval: &str) -> Result<f64, Error> {
    match client.query_typed_one(TIME_BEFORE, &[text(&interval)]) {
        Ok(row) => Ok(row.get(0)),
        Err(error) if error.code().is_some_and(|state| dbscript::StateClass::Value.contains(state)) => {
            Err(Error::usage(format!("invalid interval `{interval}`; it must be like `7 days` or `12:00`")))
        }
        Err(error) => Err(Error::failed(format!("cannot read interval `{interval}`")).caused_by(error)),
    }
}

/// A change of a consumer's failed events.
struct FailedEvents<'a> {
    queue: &'a str,
    consumer: &'a str,
    verb: &'a str,
    statement: &'a str,
}

/// $1 queue, $2 consumer, $3 the id of the event after which the page begins, or null, $4 limit, $5 a time in seconds
/// since 1970, or null. Returns the ids of the page's events that failed before that time, and the last id of the page.
const FAILED_EVENT_IDS: &str = "select pg_catalog.array_agg(ev_id order by ev_id) filter (where $5 is null or ev_failed_time < pg_catalog.to_timestamp($5)), \
         pg_catalog.max(ev_id) \
     from pgq.failed_event_page($1, $2, $3, $4)";

/// $1 queue, $2 consumer, $3 event ids, $4 a time in seconds since 1970, or null. Deletes the events that failed before
/// that time.
const PURGE_FAILED_EVENTS: &str =
    "select pgq.failed_event_delete_many($1, $2, $3, pg_catalog.to_timestamp($4))";

/// $1 queue, $2 consumer, $3 event ids. Returns the first id that no failed event has. No row: all events exist.
const ABSENT_FAILED_EVENT: &str = "select id from pg_catalog.unnest($3::pg_catalog.int8[]) id where not exists ( \
         select from pgq.failed_event_page($1, $2, greatest(id, -9223372036854775807) - 1, 1) where ev_id = id) \
     order by id limit 1";

impl FailedEvents<'_> {
    fn change_listed(&self, client: &mut impl GenericClient, events: &[i64]) -> Result<u64, Error> {
        let mut events = events.to_vec();
        events.sort_unstable();
        events.dedup();
        let failed = |error| classified(self.queue, &self.what(), error);
        let mut transaction = client.transaction().map_err(failed)?;
        // Several events may share an id, so a sufficient total does not prove that each id was found.
        self.require(&mut transaction, &events)?;
        let done = self.change(&mut transaction, &events)?;
        if done < events.len() as u64 {
            transaction.rollback().map_err(failed)?;
            self.require(client, &events)?;
            // Another session has restored the event in the meantime.
            return Err(self.absent());
        }
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    fn change_all(&self, client: &mut impl GenericClient, before: Option<f64>) -> Result<u64, Error> {
        let mut after: Option<i64> = None;
        let mut total = 0;
        loop {
            let values =
                [text(&self.queue), text(&self.consumer), int8(&after), int4(&PAGE), float8(&before)];
            let rows = query(client, self.queue, &self.what(), FAILED_EVENT_IDS, &values)?;
            // An aggregate always returns one row.
            let Some(row) = rows.first() else { return Ok(total) };
            let events: Option<Vec<i64>> = row.get(0);
            after = row.get(1);
            if let Some(events) = events {
                total += match before {
                    Some(_) => self.purge(client, &events, before)?,
                    None => self.change(client, &events)?,
                };
            }
            if after.is_none() {
                return Ok(total);
            }
        }
    }

    fn change(&self, client: &mut impl GenericClient, events: &[i64]) -> Result<u64, Error> {
        let values = [text(&self.queue), text(&self.consumer), int8_array(&events)];
        let rows = query(client, self.queue, &self.what(), self.statement, &values)?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i32>(0).unsigned_abs().into()))
    }

    /// Deletes the events that failed before a time. Another event of the same id may have failed later, and stays.
    fn purge(
        &self,
        client: &mut impl GenericClient,
        events: &[i64],
        before: Option<f64>,
    ) -> Result<u64, Error> {
        let values = [text(&self.queue), text(&self.consumer), int8_array(&events), float8(&before)];
        let rows = query(client, self.queue, &self.what(), PURGE_FAILED_EVENTS, &values)?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i32>(0).unsigned_abs().into()))
    }

    /// Fails with the first of the given events that does not exist.
    fn require(&self, client: &mut impl GenericClient, events: &[i64]) -> Result<(), Error> {
        let values = [text(&self.queue), text(&self.consumer), int8_array(&events)];
        let rows = query(client, self.queue, &self.what(), ABSENT_FAILED_EVENT, &values)?;
        rows.first().map_or(Ok(()), |row| Err(self.absent().at_event(row.get(0))))
    }

    fn absent(&self) -> Error {
        let consumer = self.consumer;
        Error::missing(format!("consumer `{consumer}` has no such failed event")).on_queue(self.queue)
    }

    fn what(&self) -> String {
        format!("cannot {} failed events of consumer `{}`", self.verb, self.consumer)
    }
}
