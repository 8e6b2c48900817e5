//! Helpers for tests of consumers, with a server and without one.
//!
//! [`FakeQueue`] delivers events to a [`Consumer`](crate::Consumer) or asynchronous handlers that need no database. For a consumer that needs one,
//! [`force_tick`] makes a batch of the inserted events at once, and [`Worker::drain`](crate::Worker::drain) processes
//! batches until there are none:
//!
//! ```no_run
//! # use pgq::{Batch, BoxError, Consumer, Event, Outcome};
//! # struct Greeter;
//! # impl Consumer for Greeter {
//! #     fn process_event(&mut self, _: &Event, _: &mut Batch<'_>) -> Result<Outcome, BoxError> { Ok(Outcome::Done) }
//! # }
//! # fn main() -> Result<(), BoxError> {
//! # let conninfo = "dbname=test";
//! # let mut client = postgres::Client::connect(conninfo, postgres::NoTls)?;
//! pgq::admin::create_queue(&mut client, "names")?;
//! pgq::admin::register_consumer(&mut client, "names", "greeter")?;
//! pgq::insert_event(&mut client, "names", "new", "Kristo")?;
//! pgq::testing::force_tick(&mut client, "names")?;
//! let totals = pgq::Worker::new(conninfo, "names", "greeter").drain(Greeter)?;
//! assert_eq!(totals.count("count"), 1);
//! # Ok(())
//! # }
//! ```

mod fake_queue;

use dbscript::param::text;
use postgres::Client;

pub use self::fake_queue::{FakeQueue, Processed};
use crate::admin::queue_lookup;
use crate::error::{At, Error};

/// $1 queue. Advances the sequence of event ids, so that a tick is due.
const FORCE_TICK: &str = "select pgq.force_tick($1)";

/// $1 queue. Returns the tick, or null if none was made.
const TICK_QUEUE: &str = "select pgq.ticker($1)";

/// Ticks a queue at once, whether a tick is due or not; returns the tick. PgQ: `pgq.force_tick`, `pgq.ticker`.
///
/// The argument is a connection and not a transaction, because a tick covers only committed events.
///
/// Each call leaves a gap in the event ids.
///
/// # Errors
///
/// When the queue does not exist, is paused or has an external ticker, and when the server fails.
pub fn force_tick(client: &mut Client, queue: &str) -> Result<i64, Error> {
    let failed = |error| At::queue(queue).failed("cannot tick", error);
    queue_lookup::require_queue(client, queue)?;
    client.query_typed(FORCE_TICK, &[text(&queue)]).map_err(failed)?;
    let row = client.query_typed_one(TICK_QUEUE, &[text(&queue)]).map_err(failed)?;
    row.get::<_, Option<i64>>(0)
        .ok_or_else(|| At::queue(queue).failure("the queue was not ticked: its ticker is paused or external"))
}
