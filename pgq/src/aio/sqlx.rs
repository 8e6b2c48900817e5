//! Producers and consumers for asynchronous services on `sqlx`, with the feature `sqlx`.
//!
//! # Producers
//!
//! The functions are asynchronous versions of those in the crate's root, with the same statements and errors. They
//! accept a [`PgConnection`](::sqlx::PgConnection): dereference a transaction or a connection of a pool, `&mut *tx`.
//!
//! ```no_run
//! # async fn new_user(pool: &sqlx::PgPool, name: &str) -> Result<(), pgq::BoxError> {
//! let mut tx = pool.begin().await?;
//! sqlx::query("insert into users (name) values ($1)").bind(name).execute(&mut *tx).await?;
//! pgq::sqlx::insert_event(&mut *tx, "mailer", "welcome", name).await?;
//! tx.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Begin transactions by `begin`, not by a statement: [`bulk_insert`] begins a transaction of its own where `sqlx` has
//! none.
//!
//! The statement of a single event is prepared once a connection. Set `statement_cache_capacity(0)` behind a pooler that
//! does not support prepared statements, as for other statements of `sqlx`.
//!
//! # Consumers
//!
//! With the feature `tokio`, `Transactional` runs a `Consumer` whose effects are committed together with the batch, and
//! `aio::Batch::commit_in` finishes a batch in a transaction of `sqlx`.
//!
//! # Errors
//!
//! The source of a [`pgq::Error`](crate::Error) has the error of `sqlx` behind it. [`sqlstate`](crate::Error::sqlstate)
//! and [`is_connection`](crate::Error::is_connection) work as with the blocking functions.

#[cfg(feature = "tokio")]
mod consumer;
mod failure;
mod producer;
#[cfg(feature = "tokio")]
mod transaction;

#[cfg(feature = "tokio")]
pub use self::consumer::{Consumer, Transactional};
#[doc(hidden)]
pub use self::failure::driver_error;
pub use self::producer::{bulk_insert, insert_event, insert_event_once, insert_new_event};
