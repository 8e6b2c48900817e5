//! Opening a batch that ends at a certain tick.

use dbscript::param::{int8, text};
use postgres::GenericClient;

use crate::admin::queue_lookup::QueueQuery;
use crate::admin::ticks::tick_time;
use crate::error::{At, Error};
use crate::event::checkpoint::Checkpoint;

/// $1 queue, $2 consumer, $3 microseconds or null. No row: the queue does not exist.
const OPEN_BATCH: &str = "select next.cur_tick_id, next.cur_tick_time from pgq.queue \
     cross join lateral pgq.next_batch_custom(queue_name, $2, null, null, \
         pg_catalog.make_interval(secs => $3::pg_catalog.float8 / 1000000::pg_catalog.float8)) next \
     where queue_name = $1";

/// The result of an attempt to open a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedBatch {
    /// Both ticks. The batch is open.
    Open,
    /// Both ticks, and only a few behind them. The batch of several ticks can be opened when there are more: PgQ chooses the
    /// last tick instead of the wanted one as long as it is at most twice as far away.
    TooEarly,
    /// Another end or none.
    Missing,
}

/// Opens the consumer's next batch, from `start` to `end`, as if it had been delivered and not finished. PgQ:
/// `pgq.next_batch_custom`.
///
/// # Errors
///
/// When the queue does not exist, the consumer is not registered, and when the server fails.
pub fn open_batch(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    (start, end): (&Checkpoint, &Checkpoint),
) -> Result<OpenedBatch, Error> {
    let (Some(from), Some(to)) = (start.time, end.time) else { return Ok(OpenedBatch::Missing) };
    for length in [None, (to - from).num_microseconds()] {
        if open(client, queue, consumer, (length, end))? {
            return Ok(OpenedBatch::Open);
        }
    }
    let has_end = tick_time(client, queue, end.tick)? == Some(to);
    Ok(if has_end { OpenedBatch::TooEarly } else { OpenedBatch::Missing })
}

/// Opens the batch of the next tick, or of the first one that is so far away, unless it has another end.
fn open(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    (length, end): (Option<i64>, &Checkpoint),
) -> Result<bool, Error> {
    let what = format!("cannot open the batch of consumer `{consumer}` up to tick {}", end.tick);
    let failed = |error| At::queue(queue).failed(&what, error);
    let values = [text(&queue), text(&consumer), int8(&length)];
    let mut transaction = client.transaction().map_err(failed)?;
    let row = QueueQuery::new(queue, &what, OPEN_BATCH, &values).listed_row(&mut transaction)?;
    // Without a batch, all columns are null.
    let Some(tick) = row.get(0) else { return Ok(false) };
    let is_open = Checkpoint { tick, time: row.get(1) }.is(end);
    if is_open {
        transaction.commit().map_err(failed)?;
    }
    Ok(is_open)
}
