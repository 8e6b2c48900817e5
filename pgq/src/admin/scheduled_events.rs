//! Schedules of recurring events: listing and removing them.

use chrono::{DateTime, Utc};
use dbscript::param::text;
use dbscript::printable;
use postgres::error::SqlState;
use postgres::{GenericClient, Row};

use crate::admin::queue_lookup;
use crate::error::Error;
use crate::names::{Name, bytes};
use crate::schema;
use crate::time::Time;

/// An event that is inserted into its queue again and again ([`schedule_event`](crate::schedule_event())).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledEvent {
    /// The queue.
    pub queue: String,
    /// The name of the schedule.
    pub name: String,
    /// The cron pattern.
    pub cron: String,
    /// The time zone of the pattern.
    pub zone: String,
    /// When the event is inserted next; in the past if it is due. `None`: no ticker has computed the time yet.
    pub next: Option<DateTime<Utc>>,
    /// The time of the transaction that has made or last changed the schedule.
    pub stored: DateTime<Utc>,
    /// The role of the session that has made it.
    pub role: String,
    /// The type of the event, if it is not NULL.
    pub event_type: Option<String>,
    /// The data of the event, if it is not NULL.
    pub data: Option<String>,
    /// `ev_extra1` to `ev_extra4`.
    pub extra: [Option<String>; 4],
}

/// $1 queue or null.
const SCHEDULED_EVENTS: &str = concat!(
    "select due, ev_time, ",
    bytes!("queue_name"),
    ", ",
    bytes!("schedule_name"),
    ", ",
    bytes!("cron"),
    ", ",
    bytes!("zone"),
    ", ",
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
    " from pgq.scheduled_event_list($1) order by queue_name, schedule_name collate \"C\""
);

/// Returns the schedules of a queue, or of all queues, in the order of the names of queues and schedules. SQL:
/// `pgq.scheduled_event_list`.
///
/// # Errors
///
/// When the queue does not exist, or schedules are not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and
/// when the server fails.
pub fn scheduled_events(
    client: &mut impl GenericClient,
    queue: Option<&str>,
) -> Result<Vec<ScheduledEvent>, Error> {
    match queue {
        Some(queue) => queue_lookup::require_listed(client, queue)?,
        None => schema::require(client)?,
    }
    let rows = client.query_typed(SCHEDULED_EVENTS, &[text(&queue)]).map_err(|error| {
        let error = explained("cannot list the schedules", error);
        queue.into_iter().fold(error, Error::on_queue)
    })?;
    Ok(rows.iter().map(scheduled).collect())
}

fn scheduled(row: &Row) -> ScheduledEvent {
    let value = |column| row.get::<_, Option<Name>>(column).map(|Name(value)| value);
    let required = |column| value(column).unwrap_or_default();
    ScheduledEvent {
        queue: required(2),
        name: required(3),
        cron: required(4),
        zone: required(5),
        next: row.get::<_, Option<Time>>(0).map(|time| time.0),
        stored: row.get::<_, Time>(1).0,
        role: required(6),
        event_type: value(7),
        data: value(8),
        extra: [value(9), value(10), value(11), value(12)],
    }
}

/// $1 queue, $2 name.
const UNSCHEDULE_EVENT: &str = "select pgq.unschedule_event($1, $2)";

/// Removes a schedule. Returns `false` if the queue has none of this name. SQL: `pgq.unschedule_event`.
///
/// The removal belongs to the transaction. While a ticker inserts the event, it waits for the end of that. Events that were
/// inserted stay. A session may remove the schedules that sessions of its user have made. A role that may run
/// maintenance, such as `pgq_admin`, may remove all.
///
/// # Errors
///
/// As [`scheduled_events`], and when the schedule belongs to another role.
pub fn unschedule_event(client: &mut impl GenericClient, queue: &str, name: &str) -> Result<bool, Error> {
    queue_lookup::require_listed(client, queue)?;
    let what = format!("cannot remove schedule `{}`", printable(name));
    let row = client.query_typed_one(UNSCHEDULE_EVENT, &[text(&queue), text(&name)]);
    Ok(row.map_err(|error| failed(&what, queue, error))?.get(0))
}

/// Makes the error of a statement about the schedules of a queue.
pub(crate) fn failed(what: &str, queue: &str, error: postgres::Error) -> Error {
    explained(what, error).on_queue(queue)
}

fn explained(what: &str, error: postgres::Error) -> Error {
    // The schema may be missing too.
    let is_missing = [SqlState::UNDEFINED_FUNCTION, SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME]
        .iter()
        .any(|state| error.code() == Some(state));
    match is_missing && error.as_db_error().is_some_and(|error| error.where_().is_none()) {
        true => Error::missing(
            "schedules are not installed; run `pgqadm CONFIG.ini install` or `pgq::schema::install`",
        ),
        false => Error::failed(what),
    }
    .caused_by(error)
}
