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

mod batch;
mod buffered_producer;
mod bulk_insert;
mod checkpoint;
mod consumer;
mod consumer_loop;
mod copy;
mod culprit;
mod drop_queue;
mod encoding;
mod error;
mod event;
mod events;
mod exclusive;
mod failed;
mod failed_event;
mod failed_many;
mod guard;
pub mod guide;
mod holder;
mod hooks;
pub mod integrity;
mod local;
mod local_handler;
pub mod lock;
mod maintenance;
mod names;
mod outcome;
mod owned_event;
mod pages;
pub mod payload;
mod position;
mod producer;
mod queue;
mod queue_config;
mod queue_variable;
#[cfg(doctest)]
mod readme;
mod registration;
mod retry_policy;
mod router;
mod savepoints;
pub mod schema;
#[cfg(feature = "script")]
pub mod script;
mod set_aside;
mod settings;
mod shell;
mod source;
mod sql;
pub mod status;
mod subscription;
mod tags;
pub mod testing;
mod tick;
mod ticker;
mod tickers;
mod time;
#[cfg(feature = "tokio")]
pub mod tokio;
mod tracking_file;
mod worker;

pub use batch::Batch;
pub use buffered_producer::{
    BufferedProducer, BufferedProducerBuilder, CloseError, DEFAULT_MAX_BYTES, DEFAULT_MAX_DELAY,
    DEFAULT_MAX_EVENTS, DEFAULT_PATIENCE, ProducerStats, SendError,
};
pub use bulk_insert::BulkInsert;
pub use checkpoint::Checkpoint;
pub use consumer::Consumer;
pub use consumer_loop::{ConsumerLoop, Delivered, Delivery, ToConsumer};
pub use dbscript::{BoxError, Control, Totals};
pub use drop_queue::{QueueContents, drop_queue, drop_queue_of, queue_contents};
pub use error::Error;
pub use event::Event;
pub use events::Events;
pub use failed::{count_failed_events, delete_failed_event, failed_events, retry_failed_event};
pub use failed_event::FailedEvent;
pub use failed_many::{
    delete_failed_events, each_failed_event, purge_failed_events, require_failed_events, require_interval,
    retry_all_failed_events, retry_failed_events,
};
pub use hooks::Hooks;
pub use local::LocalConsumer;
pub use local_handler::LocalHandler;
pub use maintenance::{maintain, retry_events};
pub use outcome::Outcome;
pub use owned_event::OwnedEvent;
pub use position::{Position, consumer_position, require_consumer};
pub use postgres;
pub use producer::{NewEvent, bulk_insert, insert_event, insert_new_event};
pub use queue::{create_queue, require_queue};
pub use queue_config::{QueueConfig, queue_config, queue_configs};
pub use queue_variable::set_queue_config;
pub use registration::{
    position_to_copy, register_consumer, register_consumer_at, register_consumer_at_checkpoint,
    register_consumer_copy, register_subconsumer, require_tick, tick_time, unregister_consumer,
    unregister_subconsumer,
};
pub use retry_policy::{DEFAULT_RETRY_CAP, DEFAULT_RETRY_DELAY, RetryPolicy};
pub use router::{Router, Unknown, UnknownEvents};
pub use set_aside::{SetAside, set_aside};
pub use settings::{DEFAULT_KEEPALIVE_STATS, DEFAULT_MERGE_EVENTS, Settings, Twin};
pub use subscription::{BatchInfo, Subscription};
pub use tick::{tick, tick_channel};
pub use ticker::{Ticker, TickerHandle, TickerRole, TickerSettings, TickerState, TickerStatus};
pub use tickers::{DEFAULT_CHECK_PERIOD, TickerPlan, TickerScope, Tickers, TickersLoop};
pub use worker::{Worker, WorkerHandle};
