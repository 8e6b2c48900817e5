//! Queues inside PostgreSQL: consumers, producers and a ticker for PgQ.
//!
//! Producers insert events within their own transactions. A ticker cuts the stream of events into batches.
//! Each consumer has its own position and processes batch after batch. A batch is finished as a whole or not at
//! all.
//!
//! # From an empty database to a running consumer
//!
//! Run `cargo add pgq`. To see the log of the threads, add a logger, for instance `cargo add env_logger` and
//! `env_logger::init()` at the beginning of `main`, and set `RUST_LOG=info`. Use a database of PostgreSQL 14 or newer,
//! and set `conninfo` to it:
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
//!         batch.db()?.execute("insert into welcomed values ($1)", &[&name])?;
//!         println!("welcome, {name}");
//!         Ok(Outcome::Done)
//!     }
//! }
//!
//! fn main() -> Result<(), BoxError> {
//!     let conninfo = "host=localhost user=postgres dbname=queries";
//!     let mut client = Client::connect(conninfo, NoTls)?;
//!     pgq::schema::install(&mut client)?; // keeps an installed schema
//!     pgq::admin::create_queue(&mut client, "mailer")?;
//!     client.batch_execute("create table if not exists welcomed (name text)")?;
//!
//!     // One ticker per database, in any process.
//!     let ticker = Ticker::new(conninfo).spawn()?;
//!     // Registers the consumer, which gets all later events.
//!     let worker = Worker::new(conninfo, "mailer", "welcome").spawn(Welcome)?;
//!
//!     // A producer: the event becomes visible when the transaction commits.
//!     let mut transaction = client.transaction()?;
//!     pgq::insert_event(&mut transaction, "mailer", "welcome", "jane")?;
//!     transaction.commit()?;
//!
//!     println!("press Enter to exit; the event is delivered with the next tick, within some seconds");
//!     std::io::stdin().read_line(&mut String::new())?;
//!     worker.stop();
//!     worker.join()?;
//!     ticker.stop();
//!     ticker.join()?;
//!     Ok(())
//! }
//! ```
//!
//! Unregister a consumer that is not run any more ([`unregister_consumer`](admin::unregister_consumer)), or
//! its queue keeps all later events.
//!
#![cfg_attr(feature = "tokio", doc = include_str!("guide/front_page_asynchronous.md"))]
//! # Overview
//!
//! The path of a batch: [`Subscription::next_batch`] opens it, [`Batch`] reads its events page by page, the
//! [`Consumer`] handles them, [`Batch::finish`] commits. [`ConsumerLoop`] repeats this, inside a
//! [`Worker`]'s thread or, with the `script` feature, a whole program: `script::Program`.
//!
//! Kinds of consumers are settings or other deliveries: with [`Settings::autocommit`] no transaction is open while
//! events are handled, with [`Settings::subconsumer`] several processes share one position, a [`LocalConsumer`] keeps
//! its position in a file, and crate `pgq_ext` applies batches in another database.
//!
//! [`Event::urldecode_as`], [`Event::json`] and [`Event::change`] turn the data of an event into values, see [`payload`]. A [`Router`] has a handler for each type of event, and for each table.
//!
//! [`guide`] has a page each for producers, delayed events and events once, recurring events, exactly-once, retries and failures, scaling out, catching
//! up, replay, shutdown, PostgreSQL as a service, monitoring, tracing and testing, and for asynchronous services: the first one, the
//! two kinds of consumers, order and
//! idempotence.
//!
//! The functions of this crate block, but for the modules `aio` and `tokio` (feature `tokio`), which have consumers and
//! producers for asynchronous services. Within asynchronous code, a [`Worker`] and a [`Ticker`] run on threads of their
//! own; other calls belong in `tokio::task::spawn_blocking`. This crate returns an error where it can notice the
//! mistake; the driver's `Client::connect` and the methods of a `Client` panic.
//!
//! A producer joins the caller's transaction: [`insert_event`], [`bulk_insert()`], [`BulkInsert`]. A
//! [`BufferedProducer`] inserts events of many threads in bulk, in transactions of its own. The modules `tokio`, `sqlx`,
//! `diesel` and `diesel_async`, each with the feature of its name, insert in transactions of these drivers;
//! [`produce::insert_statement`] is for any other one. See [`guide::producers`].

pub mod admin;
pub mod aio;
pub mod consume;
mod error;
mod event;
pub mod guide;
pub mod lock;
mod names;
mod phrases;
pub mod produce;
#[cfg(doctest)]
mod readme;
pub mod schema;
#[cfg(feature = "script")]
pub mod script;
mod shell;
mod sql;
pub mod status;
pub mod testing;
pub mod ticker;
mod time;
#[cfg(feature = "opentelemetry")]
pub mod trace;

#[cfg(feature = "diesel-async")]
pub use aio::diesel_async;
#[cfg(feature = "sqlx")]
pub use aio::sqlx;
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
pub use consume::retry_policy::RetryPolicy;
pub use consume::router::Router;
pub use consume::run::consumer_loop::ConsumerLoop;
pub use consume::run::delivery::Delivery;
pub use consume::run::subscription::Subscription;
pub use consume::run::worker::{Worker, WorkerHandle};
pub use consume::settings::Settings;
pub use dbscript::{BoxError, Control, Totals};
pub use error::{Error, ErrorKind};
pub use event::batch_info::BatchInfo;
pub use event::checkpoint::Checkpoint;
pub use event::new_event::NewEvent;
pub use event::owned_event::OwnedEvent;
pub use event::payload;
pub use event::stored_event::Event;
pub use postgres;
pub use produce::buffered_producer::BufferedProducer;
pub use produce::bulk_insert::BulkInsert;
#[cfg(feature = "diesel")]
pub use produce::diesel;
pub use produce::once::insert_event_once;
pub use produce::producer::{bulk_insert, insert_event, insert_new_event};
pub use produce::schedule::Schedule;
pub use produce::schedule_event::schedule_event;
pub use ticker::{Ticker, TickerHandle};
