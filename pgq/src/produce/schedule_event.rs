//! Scheduling a recurring event.

use chrono::{DateTime, Utc};
use dbscript::param::{NO_PARAMS, Param, text};
use dbscript::printable;
use postgres::types::Type;
use postgres::{GenericClient, Row};

use crate::admin::queue_lookup;
use crate::admin::scheduled_events::failed;
use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::producer::{insert_values, require_no_time};
use crate::produce::schedule::Schedule;
use crate::time::Time;

/// The result of [`schedule_event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scheduled {
    /// Whether the queue had no schedule of that name.
    pub is_new: bool,
    /// Whether the schedule is new or another one than before.
    pub is_changed: bool,
    /// When the event is inserted next. It is in the past if the event is due and no ticker has inserted it yet.
    pub next: DateTime<Utc>,
}

/// Returns the time of the server, with which the times of schedules are compared.
pub(crate) const SERVER_TIME: &str = "select pg_catalog.clock_timestamp()";

/// $1 queue, $2 type, $3 data, $4 to $7 extras, $8 name, $9 pattern, $10 zone, $11 next time. Returns whether the schedule
/// is new, whether it was changed, and its next time. No row: the queue does not exist.
pub(crate) const SCHEDULE_EVENT: &str = "select done.is_new, done.is_changed, done.due from pgq.queue cross join lateral pgq.schedule_event( \
         queue_name, $8, $9, $10, $11, $2, $3, $4, $5, $6, $7) done where queue_name = $1";

/// Schedules a recurring event: the ticker inserts the event into the queue at each time of the schedule, with `ev_time` the
/// time at which it does. SQL: `pgq.schedule_event`, which [`install`](crate::schema::install()) adds to PgQ.
///
/// - `name` names the schedule within the queue. A schedule with the same name is replaced. If the pattern and the zone are
///   the same, its next time stays, so that a service can schedule its events whenever it starts. If nothing differs,
///   nothing is written.
/// - Each time is served once, also with several tickers. The event is inserted within about a second of the time. Several
///   times that are over, as after an outage of the ticker, are one event.
/// - The clock is that of the server.
/// - The schedule belongs to the caller's transaction. It stays until [`unschedule_event`](crate::admin::unschedule_event)
///   removes it or the queue is dropped.
///
/// ```no_run
/// use pgq::postgres::Client;
/// use pgq::{NewEvent, Schedule};
///
/// # fn schedule(client: &mut Client) -> Result<(), pgq::Error> {
/// let every_morning = Schedule::new("30 6 * * MON-FRI")?.in_zone("Europe/Berlin")?;
/// let event = NewEvent::new("report", "sales");
/// let scheduled = pgq::schedule_event(client, "reports", "sales", &every_morning, &event)?;
/// println!("next at {}", scheduled.next);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - The queue does not exist, or schedules are not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
/// - The event is delayed or has a time of its own ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
/// - The name, the pattern or the zone is longer than 1000 bytes.
/// - The schedule of that name belongs to another role, and this one is no member of `pgq_admin`.
/// - The queue takes no events, or the server refuses.
pub fn schedule_event(
    client: &mut impl GenericClient,
    queue: &str,
    name: &str,
    schedule: &Schedule,
    event: &NewEvent<'_>,
) -> Result<Scheduled, Error> {
    require_schedulable(queue, event)?;
    let now = client.query_typed_one(SERVER_TIME, NO_PARAMS);
    let times = Times::read(queue, name, schedule, now)?;
    let answer = client.query_typed_opt(SCHEDULE_EVENT, &times.values(&queue, &name, event));
    times.scheduled(queue, answer)
}

/// Refuses a delayed event and one with a time of its own.
pub(crate) fn require_schedulable(queue: &str, event: &NewEvent<'_>) -> Result<(), Error> {
    match event.at {
        Some(_) => Err(Error::usage("a delayed event cannot recur").on_queue(queue)),
        None => require_no_time(queue, event),
    }
}

/// The pattern, the zone and the next time of a schedule that is stored.
pub(crate) struct Times<'a> {
    what: String,
    cron: &'a str,
    zone: &'a str,
    next: Time,
}

impl<'a> Times<'a> {
    /// Computes the next time from the answer to [`SERVER_TIME`].
    pub(crate) fn read(
        queue: &str,
        name: &str,
        schedule: &'a Schedule,
        now: Result<Row, postgres::Error>,
    ) -> Result<Times<'a>, Error> {
        let what = format!("cannot schedule event `{}`", printable(name));
        let now: Time = now.map_err(|error| failed(&what, queue, error))?.get(0);
        let none = || Error::usage(format!("{what}: {schedule} has no next time")).on_queue(queue);
        let next = Time(schedule.next_after(now.0).ok_or_else(none)?);
        Ok(Times { cron: schedule.cron(), zone: schedule.zone(), next, what })
    }

    /// Returns the values of [`SCHEDULE_EVENT`].
    pub(crate) fn values<'b>(
        &'b self,
        queue: &'b &str,
        name: &'b &str,
        event: &'b NewEvent<'_>,
    ) -> [Param<'b>; 11] {
        let [queue, event_type, data, extra1, extra2, extra3, extra4] = insert_values(queue, event);
        let (cron, zone) = (text(&self.cron), text(&self.zone));
        let next: Param<'b> = (&self.next, Type::TIMESTAMPTZ);
        [queue, event_type, data, extra1, extra2, extra3, extra4, text(name), cron, zone, next]
    }

    /// Reads the answer to [`SCHEDULE_EVENT`].
    pub(crate) fn scheduled(
        &self,
        queue: &str,
        answer: Result<Option<Row>, postgres::Error>,
    ) -> Result<Scheduled, Error> {
        let row = answer.map_err(|error| failed(&self.what, queue, error))?;
        let row = row.ok_or_else(|| queue_lookup::missing_queue(queue))?;
        let next = row.get::<_, Option<Time>>(2).unwrap_or(self.next).0;
        Ok(Scheduled { is_new: row.get(0), is_changed: row.get(1), next })
    }
}
