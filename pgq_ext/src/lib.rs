//! Exactly-once processing of PgQ batches into another PostgreSQL database.
//!
//! A batch is applied in one transaction on the target, and that transaction also records that the batch is
//! done. The batch is finished on the source after that transaction has committed. After a crash in between, the
//! source redelivers the batch, and the record on the target shows that the batch was applied.
//!
//! ```no_run
//! use pgq::postgres::Transaction;
//! use pgq::{BoxError, Events, Worker};
//! use pgq_ext::{RemoteHandler, SerialConsumer};
//!
//! struct Mover;
//!
//! impl RemoteHandler for Mover {
//!     fn process_remote_batch(&mut self, events: &mut Events<'_>, dst: &mut Transaction<'_>) -> Result<(), BoxError> {
//!         events.copy_to(dst, "copy_of_eventlog")?;
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), pgq::Error> {
//! let worker = Worker::new("dbname=sourcedb", "eventlog", "mover")
//!     .database("target", "dbname=targetdb")
//!     .spawn(SerialConsumer::new("mover", "target", Mover))?;
//! # worker.join()
//! # }
//! ```
//!
//! [`SerialConsumer`] tracks ticks and detects that the two databases no longer match; [`RemoteConsumer`] tracks batches.
//! Both record the times of ticks with their numbers. A source that was restored to an earlier moment, has failed over or
//! was created again therefore causes the error [`ErrorKind::LostPosition`], and no batch is mistaken for an applied one.
//! An operator then decides with `--rewind` or `--reset`, a program with [`Tracker::set_last_tick`] or
//! [`Tracker::forget_batches`]. Only members of the role `pgq_writer` and the owner may use the record.
//!
//! A batch is one transaction there. With the feature `sqlx`, `pgq_ext::sqlx::ExactlyOnce` gives each event a transaction of
//! its own, many at once, for the asynchronous `Handlers` of [`pgq`]; with the feature `tokio`, `pgq_ext::tokio::claim_event`
//! records an event in a transaction of `tokio_postgres`.
//!
//! [`sink`] does the same for systems that are no PostgreSQL database; with the feature `jetstream`, `pgq_ext::jetstream`
//! applies a queue in a stream of NATS JetStream.
//!
//! The record is in schema `pgq_ext` of the target, which [`schema::install`] creates. The source needs PgQ, the queue and
//! a ticker. The target of the example needs PgQ and a queue too; [`pgq::schema::install`] and
//! [`pgq::admin::create_queue`] create them.

mod batches;
#[cfg(any(feature = "sqlx", feature = "tokio"))]
mod claim;
mod error;
mod handler;
#[cfg(feature = "jetstream")]
pub mod jetstream;
mod remote;
pub mod schema;
#[cfg(feature = "script")]
pub mod script;
mod serial;
pub mod sink;
mod sql;
#[cfg(feature = "sqlx")]
pub mod sqlx;
#[cfg(feature = "tokio")]
pub mod tokio;
mod tracker;

pub use error::{Error, ErrorKind};
pub use handler::RemoteHandler;
pub use remote::RemoteConsumer;
pub use serial::SerialConsumer;
pub use tracker::Tracker;
