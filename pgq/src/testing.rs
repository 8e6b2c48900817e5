//! Help for testing consumers, with a server and without one.
//!
//! [`FakeQueue`] delivers made-up events to a [`Consumer`](crate::Consumer) that needs no database. For one that does,
//! [`force_tick`] makes what was inserted a batch at once, and [`Worker::drain`](crate::Worker::drain) takes batches
//! until there are none:
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

use postgres::Client;
use postgres::types::Type;

pub use self::fake_queue::{FakeQueue, Processed};
use crate::admin::queue_lookup;
use crate::error::Error;

/// $1 queue. Makes the queue look busy.
const FORCE_TICK: &str = "select pgq.force_tick($1)";

/// $1 queue. The tick, or null when none was made.
const TICK_QUEUE: &str = "select pgq.ticker($1)";

/// Ticks a queue at once, whether it needs a tick or not; returns the tick. PgQ: `pgq.force_tick`, `pgq.ticker`.
///
/// It takes the connection, not a transaction on it: a tick covers what is committed before it.
///
/// Event ids leave a gap: that is how the queue is made to look busy.
///
/// # Errors
///
/// When the queue does not exist, is paused or is ticked elsewhere, and when the server fails.
pub fn force_tick(client: &mut Client, queue: &str) -> Result<i64, Error> {
    let failed = |error| Error::failed("cannot tick").on_queue(queue).caused_by(error);
    queue_lookup::require_queue(client, queue)?;
    client.query_typed(FORCE_TICK, &[(&queue, Type::TEXT)]).map_err(failed)?;
    let row = client.query_typed_one(TICK_QUEUE, &[(&queue, Type::TEXT)]).map_err(failed)?;
    row.get::<_, Option<i64>>(0).ok_or_else(|| Error::failed("the queue does not tick").on_queue(queue))
}
