//! Producers for asynchronous services on [`tokio_postgres`], with the feature `tokio`.
//!
//! The functions are asynchronous versions of those in the crate's root, with the same statements and errors. They
//! accept the clients and transactions of `tokio_postgres`. Dereference a connection of a pool to its client.
//!
//! ```no_run
//! # async fn new_user(client: &mut tokio_postgres::Client, name: &str) -> Result<(), pgq::BoxError> {
//! let transaction = client.transaction().await?;
//! transaction.execute("insert into users (name) values ($1)", &[&name]).await?;
//! pgq::tokio::insert_event(&transaction, "mailer", "welcome", name).await?;
//! transaction.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Events that stand on their own can go through a [`BufferedProducer`](crate::BufferedProducer), which has
//! asynchronous methods with this feature. It opens a connection and inserts the events in bulk on a thread of its own.
//!
//! ```no_run
//! # async fn clicks() -> Result<(), pgq::BoxError> {
//! use pgq::{BufferedProducer, OwnedEvent};
//!
//! let builder = BufferedProducer::builder("dbname=shop", "clicks");
//! let producer = tokio::task::spawn_blocking(|| builder.spawn()).await??;
//! producer.send_async(OwnedEvent::new("click", "page=/basket")).await?;
//! producer.flush_async().await?;
//! producer.close_async().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What blocks
//!
//! The functions of the crate's root, such as [`insert_event`](crate::insert_event), and the clients of
//! [`crate::postgres`] block on a runtime of their own, and panic on a thread of another runtime. Use the functions of
//! this module or `tokio::task::spawn_blocking`.
//!
//! [`Worker::spawn`](crate::Worker::spawn), [`BufferedProducerBuilder::spawn`](crate::produce::BufferedProducerBuilder::spawn) and
//! similar methods block until the server has answered. [`WorkerHandle::join`](crate::WorkerHandle::join) blocks until
//! the worker has ended, and dropping the handle blocks for some seconds. They do not panic, but block the runtime's
//! thread: call them, and drop handles, in `spawn_blocking`.

mod bulk_insert;
mod producer;
mod transaction;

pub use tokio_postgres;

pub use self::bulk_insert::BulkInsert;
pub use self::producer::{bulk_insert, insert_event, insert_event_once, insert_new_event, schedule_event};
