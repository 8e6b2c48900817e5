//! Claiming events in transactions of `tokio_postgres`, with the feature `tokio`.
//!
//! A handler of [`pgq::aio::Handlers`] that claims its event in the transaction of its effects applies it exactly once:
//!
//! ```no_run
//! use pgq::aio::{Handlers, Origin};
//! use pgq::{BoxError, Event};
//! # use std::sync::Arc;
//! # use pgq::tokio::tokio_postgres::Client;
//! # type Pool = Arc<::tokio::sync::Mutex<Client>>;
//!
//! /// `pool` is any pool of connections.
//! async fn book(pool: Pool, event: Event, origin: Origin) -> Result<(), BoxError> {
//!     let mut client = pool.lock().await;
//!     let transaction = client.transaction().await?;
//!     if pgq_ext::tokio::claim_event(&transaction, &origin, &event).await? {
//!         transaction.execute("insert into booked (data) values ($1)", &[&event.data()]).await?;
//!         transaction.commit().await?;
//!     }
//!     Ok(())
//! }
//!
//! fn handlers(pool: Pool) -> Handlers {
//!     Handlers::new().on("paid", move |event: Event, origin: Origin| book(pool.clone(), event, origin))
//! }
//! ```

use dbscript::param::{int8, text, timestamptz};
use pgq::Event;
use pgq::aio::Origin;
use pgq::tokio::tokio_postgres::Transaction;

use crate::claim::{Claim, FAILED, mark};
use crate::error::Error;
use crate::sql;

/// Records an event as applied, in the transaction that applies it; returns `false` if it was recorded already. Call it
/// before the effects, apply them only if it returns `true`, and then commit.
///
/// If another transaction has claimed the event, the call waits for its end. Transactions of different events do not wait
/// for each other, except for the first one of a batch. The commit waits for the disk, even if `synchronous_commit` is off.
///
/// Return each error of a later statement: the commit of a transaction whose statement has failed rolls back, and reports
/// no error.
///
/// # Errors
///
/// When another process has opened the batch since; it applies the events then. When the batch begins before the end of
/// another one whose events were applied ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)). When the schema is
/// missing or too old ([`ErrorKind::NotInstalled`](crate::ErrorKind::NotInstalled)), when the transaction's isolation level
/// is not `read committed`, and when the server fails. For a subconsumer, with an error that ends the consumer's loop.
pub async fn claim_event(
    transaction: &Transaction<'_>,
    origin: &Origin,
    event: &Event,
) -> Result<bool, Error> {
    let claim = Claim::new(origin)?;
    let (id, mark) = (event.id(), mark(event));
    let values = [
        text(&claim.queue),
        text(&claim.consumer),
        int8(&claim.batch),
        timestamptz(&claim.prev_tick_time),
        int8(&claim.tick),
        timestamptz(&claim.tick_time),
        timestamptz(&claim.opened_at),
        int8(&id),
        int8(&mark),
    ];
    let failed =
        |error: postgres::Error| Error::of_statement(claim.consumer, FAILED, error.code().cloned(), error);
    let row = transaction.query_typed_one(sql::CLAIM_EVENT, &values).await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}
