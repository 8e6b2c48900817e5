//! Queues inside PostgreSQL: consumers, producers and a ticker for PgQ.
//!
//! Producers insert events within their own transactions. A ticker cuts the stream of events into batches.
//! Every consumer keeps its own position, takes batch after batch, and each batch is done or not done as a
//! whole.
//!
//! # From an empty database to a running consumer
//!
//! `cargo add pgq`, and a logger for what the threads have to say, for instance `cargo add env_logger` and
//! `env_logger::init()` at the beginning of `main`, with `RUST_LOG=info`. Any database of PostgreSQL 14 or
//! newer will do, put yours into `conninfo`:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pgq::postgres::{Client, NoTls};
//! use pgq::{Batch, BoxError, Consumer, Event, Outcome, Ticker, Worker};
//!
//! struct Welcome;
//!
//! impl Consumer for Welcome {
//!     fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
//!         let name = event.data().unwrap_or_default();
//!         if name.is_empty() {
//!             return Ok(Outcome::Retry(Duration::from_secs(60)));
//!         }
//!         // Committed together with the batch.
//!         batch.db().execute("insert into welcomed values ($1)", &[&name])?;
//!         println!("welcome, {name}");
//!         Ok(Outcome::Done)
//!     }
//! }
//!
//! fn main() -> Result<(), BoxError> {
//!     let conninfo = "host=localhost user=postgres dbname=queries";
//!     let mut client = Client::connect(conninfo, NoTls)?;
//!     pgq::schema::install(&mut client)?; // what is there stays
//!     pgq::create_queue(&mut client, "mailer")?;
//!     client.batch_execute("create table if not exists welcomed (name text)")?;
//!
//!     // One ticker a database, in any process.
//!     let ticker = Ticker::new(conninfo).spawn()?;
//!     // Registers the consumer, which gets all events from then on.
//!     let worker = Worker::new(conninfo, "mailer", "welcome").spawn(Welcome)?;
//!
//!     // A producer: the event is there once the transaction commits.
//!     let mut transaction = client.transaction()?;
//!     pgq::insert_event(&mut transaction, "mailer", "welcome", "jane")?;
//!     transaction.commit()?;
//!
//!     println!("Enter ends it; the event comes with the next tick, within some seconds");
//!     std::io::stdin().read_line(&mut String::new())?;
//!     worker.stop();
//!     worker.join()?;
//!     ticker.stop();
//!     ticker.join()?;
//!     Ok(())
//! }
//! ```
//!
//! A consumer that is not run any more has to be unregistered ([`unregister_consumer`]), or its queue keeps every event for
//! it.
//!
//! # What there is
//!
//! The path of a batch: [`Subscription::next_batch`] opens it, [`Batch`] reads its events page by page, the
//! [`Consumer`] handles them, [`Batch::finish`] commits. [`ConsumerLoop`] does that again and again, inside a
//! [`Worker`]'s thread or, with the `script` feature, a whole program: `script::Program`.
//!
//! Kinds of consumers are settings or other deliveries: with [`Settings::autocommit`] no transaction is open while events
//! are handled, with [`Settings::subconsumer`] several processes share one position, a [`LocalConsumer`] keeps its
//! position in a file, and crate `pgq_ext` applies batches in another database.
//!
//! What an event carries becomes a value by [`Event::urldecode_as`], [`Event::json`] or [`Event::change`], see [`payload`].
//! A [`Router`] has a handler for each type of event, and for each table.
//!
//! [`guide`] has a page each for exactly-once, retries and failures, scaling out, catching up, monitoring and
//! testing.
//!
//! A producer joins the caller's transaction: [`insert_event`], [`bulk_insert()`], [`BulkInsert`]. Events that stand
//! for themselves go in bulk, from many threads, through a [`BufferedProducer`]. The same for asynchronous services is
//! in the module `tokio`, with the feature of that name.

mod admin;
mod aio;
mod backoff;
mod consume;
mod error;
mod event;
pub mod guide;
pub mod lock;
mod names;
mod produce;
#[cfg(doctest)]
mod readme;
pub mod schema;
#[cfg(feature = "script")]
pub mod script;
mod shell;
mod sql;
pub mod status;
pub mod testing;
mod ticker;
mod time;

pub use admin::drop_queue::{QueueContents, drop_queue, drop_queue_of, queue_contents};
pub use admin::failed::{count_failed_events, delete_failed_event, failed_events, retry_failed_event};
pub use admin::failed_many::{
    delete_failed_events, each_failed_event, purge_failed_events, require_failed_events, require_interval,
    retry_all_failed_events, retry_failed_events,
};
pub use admin::find_queue::require_queue;
pub use admin::integrity;
pub use admin::position::{Position, consumer_position, require_consumer};
pub use admin::queue::create_queue;
pub use admin::queue_config::{QueueConfig, queue_config, queue_configs};
pub use admin::queue_variable::set_queue_config;
pub use admin::registration::{
    position_to_copy, register_consumer, register_consumer_at, register_consumer_at_checkpoint,
    register_consumer_copy, register_subconsumer,
};
pub use admin::set_aside::{SetAside, set_aside};
pub use admin::ticks::require_tick;
pub use admin::ticks::tick_time;
pub use admin::unregistration::unregister_consumer;
pub use admin::unregistration::unregister_subconsumer;
#[cfg(feature = "tokio")]
pub use aio::tokio;
pub use consume::batch::Batch;
pub use consume::consumer::Consumer;
pub use consume::delivered::Delivered;
pub use consume::hooks::Hooks;
pub use consume::outcome::Outcome;
pub use consume::position::local::LocalConsumer;
pub use consume::position::local_handler::LocalHandler;
pub use consume::read::events::Events;
pub use consume::retry_policy::{DEFAULT_RETRY_CAP, DEFAULT_RETRY_DELAY, RetryPolicy};
pub use consume::router::{Router, Unknown, UnknownEvents};
pub use consume::run::consumer_loop::ConsumerLoop;
pub use consume::run::delivery::{Delivery, Kind};
pub use consume::run::subscription::Subscription;
pub use consume::run::worker::{Worker, WorkerHandle};
pub use consume::settings::{DEFAULT_KEEPALIVE_STATS, DEFAULT_MERGE_EVENTS, Settings, Twin};
pub use dbscript::{BoxError, Control, Totals};
pub use error::{Error, ErrorKind};
pub use event::batch_info::BatchInfo;
pub use event::checkpoint::{Checkpoint, Place};
pub use event::failed_event::FailedEvent;
pub use event::new_event::NewEvent;
pub use event::owned_event::OwnedEvent;
pub use event::payload;
pub use event::stored_event::Event;
pub use postgres;
pub use produce::buffered_producer::{
    BufferedProducer, BufferedProducerBuilder, CloseError, DEFAULT_MAX_BYTES, DEFAULT_MAX_DELAY,
    DEFAULT_MAX_EVENTS, DEFAULT_PATIENCE, ProducerStats, SendError,
};
pub use produce::bulk_insert::BulkInsert;
pub use produce::producer::{bulk_insert, insert_event, insert_new_event};
pub use ticker::maintenance::{maintain, retry_events};
pub use ticker::tick::{tick, tick_channel};
pub use ticker::tickers::{DEFAULT_CHECK_PERIOD, TickerPlan, TickerScope, Tickers, TickersLoop};
pub use ticker::{Ticker, TickerHandle, TickerRole, TickerSettings, TickerState, TickerStatus};
