//! Scheduling a recurring event.

use chrono::{DateTime, Utc};
use dbscript::param::{NO_PARAMS, text};
use postgres::GenericClient;
use postgres::types::Type;

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
const SERVER_TIME: &str = "select pg_catalog.clock_timestamp()";

/// $1 queue, $2 type, $3 data, $4 to $7 extras, $8 name, $9 pattern, $10 zone, $11 next time. Returns whether the schedule
/// is new, whether it was changed, and its next time. No row: the queue does not exist.
const SCHEDULE_EVENT: &str = "select done.is_new, done.is_changed, done.due from pgq.queue cross join lateral pgq.schedule_event( \
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
/// use pgq::{NewEvent, Schedule};
///
/// # fn main() -> Result<(), pgq::Error> {
/// # let mut client: postgres::Client = unimplemented!();
/// let every_morning = Schedule::new("30 6 * * MON-FRI")?.in_zone("Europe/Berlin")?;
/// let event = NewEvent::new("report", "sales");
/// let scheduled = pgq::schedule_event(&mut client, "reports", "sales", &every_morning, &event)?;
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
    if event.at.is_some() {
        return Err(Error::usage("a delayed event cannot recur").on_queue(queue));
    }
    require_no_time(queue, event)?;
    let what = format!("cannot schedule event `{name}`");
    let now = client.query_typed_one(SERVER_TIME, NO_PARAMS).map_err(|error| failed(&what, queue, error))?;
    let next = schedule.next_after(now.get::<_, Time>(0).0);
    let next = Time(
        next.ok_or_else(|| Error::usage(format!("{what}: {schedule} has no next time")).on_queue(queue))?,
    );
    let [queue_name, event_type, data, extra1, extra2, extra3, extra4] = insert_values(&queue, event);
    let (cron, zone) = (schedule.cron(), schedule.zone());
    let values = [
        queue_name,
        event_type,
        data,
        extra1,
        extra2,
        extra3,
        extra4,
        text(&name),
        text(&cron),
        text(&zone),
        (&next, Type::TIMESTAMPTZ),
    ];
    let row = client.query_typed_opt(SCHEDULE_EVENT, &values).map_err(|error| failed(&what, queue, error))?;
    let row = row.ok_or_else(|| queue_lookup::missing_queue(queue))?;
    Ok(Scheduled {
        is_new: row.get(0),
        is_changed: row.get(1),
        next: row.get::<_, Option<Time>>(2).unwrap_or(next).0,
    })
}
