//! Producers for asynchronous services on [`tokio_postgres`], with the feature `tokio`.
//!
//! The functions are those of the crate's root, awaiting, with the same statements and errors. They take the clients
//! and transactions of `tokio_postgres`; a connection out of a pool is dereferenced to its client.
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
//! Events that stand for themselves can go through a [`BufferedProducer`](crate::BufferedProducer), which has awaiting
//! methods with this feature: it connects by itself, and inserts them in bulk on a thread of its own.
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
//! [`crate::postgres`] drive a runtime of their own: on a thread of another runtime they panic. Use those of this
//! module, or `tokio::task::spawn_blocking`.
//!
//! [`Worker::spawn`](crate::Worker::spawn), [`BufferedProducerBuilder::spawn`](crate::produce::BufferedProducerBuilder::spawn) and
//! the like wait until the server has answered. [`WorkerHandle::join`](crate::WorkerHandle::join) waits for the end of
//! the worker, and so does dropping its handle. They panic nowhere, since what they start has a thread of its own, but
//! hold the runtime's thread up: call them in `spawn_blocking`, too, and move handles there to end them.

mod bulk_insert;
mod producer;

pub use tokio_postgres;

pub use self::bulk_insert::BulkInsert;
pub use self::producer::{bulk_insert, insert_event, insert_new_event};
