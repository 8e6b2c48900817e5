//! The ticks that a queue has.

use chrono::{DateTime, Utc};
use postgres::GenericClient;
use postgres::types::{ToSql, Type};

use crate::admin::find_queue;
use crate::error::Error;
use crate::sql;

/// $1 queue, $2 tick. Whether it is there, the first and the last one. No row: there is no such queue.
const TICKS: &str = "select \
         exists (select from pgq.tick where tick_queue = queue_id and tick_id = $2), \
         (select pg_catalog.min(tick_id) from pgq.tick where tick_queue = queue_id), \
         (select pg_catalog.max(tick_id) from pgq.tick where tick_queue = queue_id) \
     from pgq.queue where queue_name = $1";

/// Fails when a queue does not have a tick, with the first and the last one that it has.
///
/// # Errors
///
/// As described ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), when PgQ is not installed or the queue does not
/// exist, and when the server fails.
pub fn require_tick(client: &mut impl GenericClient, queue: &str, tick: i64) -> Result<(), Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&tick, Type::INT8)];
    let row = find_queue::on_known_queue(client, queue, "cannot look for the tick", TICKS, &values)?;
    let there = match (row.get(0), row.get::<_, Option<i64>>(1), row.get::<_, Option<i64>>(2)) {
        (true, ..) => return Ok(()),
        (_, Some(first), Some(last)) => format!("the first is {first}, the last {last}"),
        _ => "it has none".to_owned(),
    };
    Err(Error::missing(format!("there is no tick {tick}; {there}")).on_queue(queue))
}

/// Returns when a queue's tick was made; `None` when the queue does not have it. A queue removes a tick when all
/// consumers are past it.
///
/// # Errors
///
/// When PgQ is not installed, and when the server fails.
pub fn tick_time(
    client: &mut impl GenericClient,
    queue: &str,
    tick: i64,
) -> Result<Option<DateTime<Utc>>, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&tick, Type::INT8)];
    let row = client.query_typed_one(sql::batch::TICK_TIME, &values);
    let failed = |error| Error::failed("cannot look for a tick").on_queue(queue).caused_by(error);
    row.and_then(|row| row.try_get(0)).map_err(failed)
}
