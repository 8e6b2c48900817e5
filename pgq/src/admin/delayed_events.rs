//! Delayed events: listing, counting and cancelling them.

use chrono::{DateTime, Utc};
use dbscript::param::{Param, int4, int8, text};
use postgres::error::SqlState;
use postgres::{GenericClient, Row};

use crate::admin::queue_lookup;
use crate::error::Error;
use crate::names::{Name, bytes};
use crate::time::Time;

/// An event that waits for the time at which it is inserted into its queue ([`NewEvent::at`](crate::NewEvent::at)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelayedEvent {
    /// The id by which it can be cancelled; in the queue it has another one.
    pub id: i64,
    /// When it is inserted into the queue.
    pub due: DateTime<Utc>,
    /// The time of the transaction that has stored it.
    pub stored: DateTime<Utc>,
    /// The role of the session that has stored it.
    pub role: String,
    /// Its type, if it is not NULL.
    pub event_type: Option<String>,
    /// Its data, if it is not NULL.
    pub data: Option<String>,
    /// `ev_extra1` to `ev_extra4`.
    pub extra: [Option<String>; 4],
}

/// $1 queue, $2 limit or null, $3 offset.
const DELAYED_EVENTS: &str = concat!(
    "select ev_id, ev_due, ev_time, ",
    bytes!("ev_role"),
    ", ",
    bytes!("ev_type"),
    ", ",
    bytes!("ev_data"),
    ", ",
    bytes!("ev_extra1"),
    ", ",
    bytes!("ev_extra2"),
    ", ",
    bytes!("ev_extra3"),
    ", ",
    bytes!("ev_extra4"),
    " from pgq.delayed_event_list($1, $2, $3) order by ev_due, ev_id"
);

/// Returns the delayed events of a queue in the order of their times: at most `limit` events, after skipping `offset`.
/// SQL: `pgq.delayed_event_list`.
///
/// All returned events are in memory at once.
///
/// # Errors
///
/// When the queue does not exist, or delayed events are not installed
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the server fails.
pub fn delayed_events(
    client: &mut impl GenericClient,
    queue: &str,
    limit: Option<u32>,
    offset: u32,
) -> Result<Vec<DelayedEvent>, Error> {
    let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
    let offset = i32::try_from(offset).unwrap_or(i32::MAX);
    let values = [text(&queue), int4(&limit), int4(&offset)];
    let rows = query(client, queue, "cannot list the delayed events", DELAYED_EVENTS, &values)?;
    Ok(rows.iter().map(event).collect())
}

fn event(row: &Row) -> DelayedEvent {
    let time = |column| row.get::<_, Time>(column).0;
    let value = |column| row.get::<_, Option<Name>>(column).map(|Name(value)| value);
    DelayedEvent {
        id: row.get(0),
        due: time(1),
        stored: time(2),
        role: value(3).unwrap_or_default(),
        event_type: value(4),
        data: value(5),
        extra: [value(6), value(7), value(8), value(9)],
    }
}

/// $1 queue.
const COUNT_DELAYED_EVENTS: &str = "select pgq.delayed_event_count($1)";

/// Returns the number of a queue's delayed events. SQL: `pgq.delayed_event_count`.
///
/// # Errors
///
/// As [`delayed_events`].
pub fn count_delayed_events(client: &mut impl GenericClient, queue: &str) -> Result<u64, Error> {
    let rows =
        query(client, queue, "cannot count the delayed events", COUNT_DELAYED_EVENTS, &[text(&queue)])?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
}

/// $1 queue, $2 event.
const CANCEL_DELAYED_EVENT: &str = "select pgq.delayed_event_cancel($1, $2)";

/// Cancels a delayed event. Returns `false` if there is none with this id: it is in the queue already, or cancelled, or
/// never existed. SQL: `pgq.delayed_event_cancel`.
///
/// The cancellation belongs to the transaction. A session may cancel the events that sessions of its user have stored. A
/// role that may run maintenance, such as `pgq_admin`, may cancel all.
///
/// # Errors
///
/// As [`delayed_events`], and when the event belongs to another role.
pub fn cancel_delayed_event(client: &mut impl GenericClient, queue: &str, event: i64) -> Result<bool, Error> {
    let values = [text(&queue), int8(&event)];
    let rows = query(client, queue, "cannot cancel a delayed event", CANCEL_DELAYED_EVENT, &values)
        .map_err(|error| error.at_event(event))?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Runs a statement about delayed events on an existing queue.
fn query(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    statement: &str,
    values: &[Param<'_>],
) -> Result<Vec<Row>, Error> {
    queue_lookup::require_listed(client, queue)?;
    let failed = |error: postgres::Error| {
        match error.code() {
            Some(&SqlState::UNDEFINED_FUNCTION) => Error::missing(
                "delayed events are not installed; run `pgqadm CONFIG.ini install` or `pgq::schema::install`",
            ),
            _ => Error::failed(what),
        }
        .caused_by(error)
        .on_queue(queue)
    };
    client.query_typed(statement, values).map_err(failed)
}
