//! Opening a batch that ends at a certain tick.

use dbscript::param::{int8, text};
use postgres::GenericClient;

use crate::admin::queue_lookup::QueueQuery;
use crate::error::{At, Error};
use crate::event::checkpoint::Checkpoint;

/// $1 queue, $2 consumer, $3 microseconds. No row: the queue does not exist.
const OPEN_BATCH: &str = "select next.batch_id, next.cur_tick_id, next.cur_tick_time from pgq.queue \
     cross join lateral pgq.next_batch_custom(queue_name, $2, null, null, \
         pg_catalog.make_interval(secs => $3::pg_catalog.float8 / 1000000)) next \
     where queue_name = $1";

/// Opens the consumer's next batch, from `start` to `end`, as if it had been delivered and not finished. Returns whether
/// the queue has these ticks; otherwise no batch is open. PgQ: `pgq.next_batch_custom`.
///
/// # Errors
///
/// When the queue does not exist, the consumer is not registered, and when the server fails.
pub fn open_batch(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    (start, end): (&Checkpoint, &Checkpoint),
) -> Result<bool, Error> {
    let what = format!("cannot open the batch of consumer `{consumer}` up to tick {}", end.tick);
    let (Some(from), Some(to)) = (start.time, end.time) else { return Ok(false) };
    let length = (to - from).num_microseconds().unwrap_or(i64::MAX);
    let values = [text(&queue), text(&consumer), int8(&length)];
    let failed = |error| At::queue(queue).failed(&what, error);
    let mut transaction = client.transaction().map_err(failed)?;
    let row = QueueQuery::new(queue, &what, OPEN_BATCH, &values).listed_row(&mut transaction)?;
    // Without a batch, all columns are null.
    let opened = match (row.get::<_, Option<i64>>(1), row.get(2)) {
        (Some(tick), time) => Checkpoint { tick, time },
        (None, _) => return Ok(false),
    };
    if !opened.is(end) {
        return Ok(false);
    }
    transaction.commit().map_err(failed)?;
    Ok(true)
}
