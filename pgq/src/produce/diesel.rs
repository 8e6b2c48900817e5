//! Producers for services on `diesel`, with the feature `diesel`.
//!
//! The functions are those of the crate's root, with the same statements, on a
//! [`PgConnection`](::diesel::PgConnection). `diesel` links with libpq; its headers are in Debian's package `libpq-dev`.
//!
//! ```no_run
//! use diesel::prelude::*;
//! use pgq::BoxError;
//!
//! # fn new_user(connection: &mut PgConnection, name: &str) -> Result<(), BoxError> {
//! connection.transaction(|connection| {
//!     diesel::sql_query("insert into users (name) values ($1)")
//!         .bind::<diesel::sql_types::Text, _>(name)
//!         .execute(connection)?;
//!     pgq::diesel::insert_event(connection, "mailer", "welcome", name)?;
//!     Ok::<_, BoxError>(())
//! })
//! # }
//! ```
//!
//! Begin transactions by `transaction`, not by a statement: [`bulk_insert`] begins a transaction of its own where
//! `diesel` has none.
//!
//! # Errors
//!
//! The source of a [`pgq::Error`](crate::Error) has the error of `diesel` behind it. `diesel` reports the SQLSTATE of a
//! violated constraint, a read-only transaction and a failed serialization (40001) only. For other errors
//! [`sqlstate`](crate::Error::sqlstate) is `None`.

mod producer;

pub use self::producer::{bulk_insert, insert_event, insert_event_once, insert_new_event};
