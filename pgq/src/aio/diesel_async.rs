//! Producers for asynchronous services on `diesel-async`, with the feature `diesel-async`.
//!
//! The functions are asynchronous versions of those in the crate's root, with the same statements, on an
//! [`AsyncPgConnection`](::diesel_async::AsyncPgConnection).
//!
//! ```no_run
//! use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
//! use pgq::BoxError;
//!
//! # async fn new_user(connection: &mut AsyncPgConnection, name: &str) -> Result<(), BoxError> {
//! connection
//!     .transaction(async |connection| {
//!         diesel::sql_query("insert into users (name) values ($1)")
//!             .bind::<diesel::sql_types::Text, _>(name)
//!             .execute(&mut *connection)
//!             .await?;
//!         pgq::diesel_async::insert_event(&mut *connection, "mailer", "welcome", name).await?;
//!         Ok::<_, BoxError>(())
//!     })
//!     .await
//! # }
//! ```
//!
//! Begin transactions by `transaction`, not by a statement: [`bulk_insert`] begins a transaction of its own where
//! `diesel-async` has none.
//!
//! # Errors
//!
//! The source of a [`pgq::Error`](crate::Error) has the error of `diesel` behind it. `diesel` reports the SQLSTATE of a
//! violated constraint, a read-only transaction and a failed serialization (40001) only. For other errors
//! [`sqlstate`](crate::Error::sqlstate) is `None`.

mod producer;

pub use self::producer::{bulk_insert, insert_event, insert_event_once, insert_new_event};
