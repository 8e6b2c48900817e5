//! Looking up the ticks of a queue.

use chrono::{DateTime, SecondsFormat, Utc};
use dbscript::StateClass;
use dbscript::param::{int8, text};
use postgres::types::Type;
use postgres::{GenericClient, Transaction};

use crate::admin::queue_lookup::QueueQuery;
use crate::error::{At, Error};
use crate::event::checkpoint::Checkpoint;
use crate::sql;
use crate::time::Time;

/// $1 queue, $2 tick. Returns whether the tick exists, the first and the last tick. No row: the queue does not exist.
const TICKS: &str = "select \
         exists (select from pgq.tick where tick_queue = queue_id and tick_id = $2), \
         (select pg_catalog.min(tick_id) from pgq.tick where tick_queue = queue_id), \
         (select pg_catalog.max(tick_id) from pgq.tick where tick_queue = queue_id) \
     from pgq.queue where queue_name = $1";

/// Fails when a queue does not have a tick. The error names the first and the last tick of the queue.
///
/// # Errors
///
/// As described ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), when PgQ is not installed or the queue does not
/// exist, and when the server fails.
pub fn require_tick(client: &mut impl GenericClient, queue: &str, tick: i64) -> Result<(), Error> {
    let values = [text(&queue), int8(&tick)];
    let row = QueueQuery::new(queue, "cannot look up the tick", TICKS, &values).listed_row(client)?;
    let existing = match (row.get(0), row.get::<_, Option<i64>>(1), row.get::<_, Option<i64>>(2)) {
        (true, ..) => return Ok(()),
        (_, Some(first), Some(last)) => format!("the queue has ticks {first} to {last}"),
        _ => "the queue has no ticks".to_owned(),
    };
    Err(Error::missing(format!("tick {tick} does not exist; {existing}")).on_queue(queue))
}

/// Returns the time of a queue's tick; `None` when the queue does not have the tick. Rotation deletes the ticks that
/// all consumers have passed.
///
/// # Errors
///
/// When PgQ is not installed, and when the server fails.
pub fn tick_time(
    client: &mut impl GenericClient,
    queue: &str,
    tick: i64,
) -> Result<Option<DateTime<Utc>>, Error> {
    let values = [text(&queue), int8(&tick)];
    let row = client.query_typed_one(sql::batch::TICK_TIME, &values);
    let failed = |error| At::queue(queue).failed("cannot look up a tick", error);
    row.and_then(|row| row.try_get(0)).map_err(failed)
}

/// $1 queue, $2 time. Returns the number and the time of the tick, of the first tick, and whether the time is in the
/// future. No row: the queue does not exist.
///
/// After the clock was set back, several ranges of ticks can be of one time. The first one counts, so that no event is
/// left out.
const TICK_AT: &str = "select found.tick_id, found.tick_time, first.tick_id, first.tick_time, \
         $2 > pg_catalog.clock_timestamp() \
     from pgq.queue \
     cross join lateral ( \
         select pg_catalog.min(tick_id) as tick_id from pgq.tick where tick_queue = queue_id and tick_time > $2) later \
     left join lateral ( \
         select tick_id, tick_time from pgq.tick \
         where tick_queue = queue_id and (later.tick_id is null or tick_id < later.tick_id) \
         order by tick_queue desc, tick_id desc limit 1) found on true \
     left join lateral ( \
         select tick_id, tick_time from pgq.tick where tick_queue = queue_id \
         order by tick_queue, tick_id limit 1) first on true \
     where queue_name = $1";

/// Returns the last tick of a queue that was made at a time or before it. A consumer that
/// [begins](crate::admin::register_consumer_at_time) there receives all events that were committed after that time, and those
/// between the tick and the time.
///
/// A rotation deletes the ticks of events that it removes. So the first tick is between one and two times
/// [`rotation_period`](crate::admin::QueueConfig::rotation_period) old, and older if a consumer has delayed rotations.
///
/// # Errors
///
/// - PgQ is not installed, or the queue does not exist ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
/// - The time is before the first tick ([`ErrorKind::Missing`](crate::ErrorKind::Missing)). The error names that tick and its
///   time, the earliest possible one.
/// - The time is in the future ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
/// - The server fails.
pub fn tick_at(
    client: &mut impl GenericClient,
    queue: &str,
    time: DateTime<Utc>,
) -> Result<Checkpoint, Error> {
    let at = Time(time);
    let values = [text(&queue), (&at as _, Type::TIMESTAMPTZ)];
    let row = QueueQuery::new(queue, "cannot look up the tick", TICK_AT, &values).listed_row(client)?;
    if row.get(4) {
        return Err(Error::usage(format!("{} is in the future", shown(time))).on_queue(queue));
    }
    if let (Some(tick), Some(Time(time))) = (row.get(0), row.get(1)) {
        return Ok(Checkpoint { tick, time: Some(time) });
    }
    let existing = match (row.get::<_, Option<i64>>(2), row.get(3)) {
        (Some(first), Some(Time(from))) => format!("the first one is tick {first} of {}", shown(from)),
        _ => "the queue has no ticks".to_owned(),
    };
    Err(Error::missing(format!("no tick is as old as {}; {existing}", shown(time))).on_queue(queue))
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// $1 text. Fails if it is not a time.
const TIME: &str = "select $1::pg_catalog.text::pg_catalog.timestamptz";

/// $1 text. The time that long ago, with or without `ago`. Fails if it is not an interval.
const TIME_AGO: &str = "select pg_catalog.now() - greatest(given, -given) \
     from (select $1::pg_catalog.text::interval as given) ago";

/// Reads a time such as `2026-11-30 10:00`, in the session's time zone, or an interval before now such as `2 hours`.
///
/// # Errors
///
/// When the text is neither ([`ErrorKind::Usage`](crate::ErrorKind::Usage)), and when the server fails.
pub fn read_time(client: &mut impl GenericClient, given: &str) -> Result<DateTime<Utc>, Error> {
    for statement in [TIME, TIME_AGO] {
        match client.query_typed_one(statement, &[text(&given)]) {
            Ok(row) => return Ok(row.get::<_, Time>(0).0),
            Err(error) if error.code().is_some_and(|state| StateClass::Value.contains(state)) => {}
            Err(error) => return Err(Error::failed(format!("cannot read time `{given}`")).caused_by(error)),
        }
    }
    Err(Error::usage(format!(
        "`{given}` is no tick, no time such as `2026-11-30 10:00`, and no interval before now such as `2 hours`"
    )))
}

/// $1 queue. Returns the table of all events, quoted; no row for a role that may not read it.
const EVENTS: &str = "select pgq.quote_fqname(queue_data_pfx) from pgq.queue where queue_name = $1 \
         and pg_catalog.has_table_privilege( \
             pg_catalog.to_regclass(pgq.quote_fqname(queue_data_pfx))::pg_catalog.oid, 'select'::pg_catalog.text)";

/// Keeps the ticks of a queue until the end of the transaction: waits for a rotation that has begun, and makes later ones
/// give up. The extension would otherwise delete the tick of a consumer that is being moved there.
pub(crate) fn keep_ticks(transaction: &mut Transaction<'_>, queue: &str) -> Result<(), Error> {
    let failed = |error| At::queue(queue).failed("cannot keep the ticks of the queue", error);
    let row = transaction.query_typed_opt(EVENTS, &[text(&queue)]).map_err(failed)?;
    let Some(table) = row.and_then(|row| row.get::<_, Option<String>>(0)) else { return Ok(()) };
    // Planning the query locks the tables of the queue.
    transaction.batch_execute(&format!("select from {table} limit 0")).map_err(failed)
}
