//! Looking up the ticks of a queue.

use chrono::{DateTime, Utc};
use dbscript::param::{int8, text};
use postgres::GenericClient;

use crate::admin::queue_lookup::QueueQuery;
use crate::error::{At, Error};
use crate::sql;

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
