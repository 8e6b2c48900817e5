//! Transactions that apply events exactly once.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use pgq::aio::{Handler, Origin};
use pgq::consume::Redeliver;
use pgq::sqlx::driver_error;
use pgq::{BoxError, Event, Outcome};
use sqlx::{Executor, PgPool, Postgres, Transaction};
use tokio::sync::{Mutex, Semaphore};

use super::claim::{begin_claims, claim_event};
use super::handler::{Handling, Prepared, TxHandler};
use super::tx::Tx;
use crate::error::Error;

/// Claims need it, whatever the default of the role.
const BEGIN: &str = "begin isolation level read committed";

/// Gives each handler of [`Handlers`](pgq::aio::Handlers) a transaction of a pool, in which the event is claimed. The
/// database of the pool has the record, schema `pgq_ext`; it may be the queue's or another one.
///
/// An event that was applied is skipped when its batch comes again. Two processes that handle the same batch at once, such
/// as after the loss of the consumer's lock, apply each event once, too: the one that has opened the batch later takes over.
///
/// | the handler | transaction | event |
/// | --- | --- | --- |
/// | returns nothing, or [`Outcome::Done`] | committed | recorded |
/// | returns [`Outcome::Retry`] or [`Outcome::Failed`] | rolled back | retried or failed |
/// | returns an error, panics, or keeps its [`Tx`] | rolled back | as the [`RetryPolicy`](pgq::RetryPolicy) says |
/// | loses the connection of its transaction | rolled back by the server | the batch comes again |
///
/// The transaction is open as long as the handler runs, so a handler should not wait for other systems.
///
/// # Pool
///
/// As many handlers run at once as the pool may have connections, if that is less than
/// [`concurrency`](pgq::aio::Handlers::concurrency); the others wait. If a transaction cannot begin, because the server
/// cannot be reached or the pool times out, the batch is delivered again ([`Redeliver`]), and no event is retried.
///
/// # Names
///
/// The record is kept by queue and consumer. Consumers of two source databases must not have both in common.
/// [`Tracker::forget_batches`](crate::Tracker::forget_batches) removes the record of a consumer that is not run any more.
///
/// # After a restore
///
/// If the source is restored or the consumer is moved back, a batch that begins before the end of the last one whose
/// events were applied is an error ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)), and the batch comes again.
/// [`Tracker::forget_batches`](crate::Tracker::forget_batches) lets it be applied. A target that is restored is not noticed.
#[derive(Clone, Debug)]
pub struct ExactlyOnce(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    /// One for each connection of the pool. A handler that waits for a permit does not time out in the pool.
    permits: Semaphore,
    /// The opening time of the batch whose claims have begun.
    begun: Mutex<Option<DateTime<Utc>>>,
}

impl ExactlyOnce {
    /// Takes transactions from a pool.
    pub fn new(pool: PgPool) -> ExactlyOnce {
        let connections = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        let permits = Semaphore::new(connections.min(Semaphore::MAX_PERMITS));
        ExactlyOnce(Arc::new(Inner { pool, permits, begun: Mutex::default() }))
    }

    /// Makes a handler for [`Handlers::on`](pgq::aio::Handlers::on) out of a function whose last argument is a [`Tx`].
    pub fn handler<A: 'static>(&self, function: impl TxHandler<A>) -> impl Handler<A> {
        InTransaction { once: self.0.clone(), function: Arc::new(function) }
    }
}

/// A handler with its transactions.
struct InTransaction<F> {
    once: Arc<Inner>,
    function: Arc<F>,
}

impl<A: 'static, F: TxHandler<A>> Handler<A> for InTransaction<F> {
    fn call(&self, event: &Event, origin: &Origin) -> Result<Handling, BoxError> {
        let handler = self.function.prepare(event, origin)?;
        let (once, event, origin) = (self.once.clone(), event.clone(), origin.clone());
        Ok(Box::pin(async move { once.apply(&event, &origin, handler).await }))
    }
}

impl Inner {
    /// Calls a handler unless its event was applied, and ends its transaction.
    async fn apply(&self, event: &Event, origin: &Origin, handler: Prepared) -> Result<Outcome, BoxError> {
        let _permit = self.permits.acquire().await?;
        let claimed = self.claim(event, origin).await.map_err(Redeliver::new)?;
        let Some(transaction) = claimed else { return Ok(Outcome::Done) };
        let (tx, slot) = Tx::lend(transaction);
        let result = handler(tx).await;
        match slot.take() {
            Some(transaction) => end(transaction, result).await,
            None => Err(result.err().unwrap_or_else(|| {
                "the handler has kept its transaction; it must drop the `Tx` before it ends".into()
            })),
        }
    }

    /// Begins a transaction that claims the event; returns `None` if the event was applied.
    async fn claim(
        &self,
        event: &Event,
        origin: &Origin,
    ) -> Result<Option<Transaction<'static, Postgres>>, BoxError> {
        self.begin_claims(origin).await?;
        let begun = self.pool.begin_with(BEGIN).await;
        let mut transaction = begun.map_err(|error| cannot("begin a transaction", error))?;
        let is_new = claim_event(&mut transaction, origin, event).await?;
        Ok(is_new.then_some(transaction))
    }

    /// Begins the claims of a batch in a transaction of its own, so that the first handlers do not wait for each other.
    async fn begin_claims(&self, origin: &Origin) -> Result<(), BoxError> {
        let mut begun = self.begun.lock().await;
        if *begun != Some(origin.opened_at()) {
            let connection = self.pool.acquire().await;
            let mut connection = connection.map_err(|error| cannot("take a connection", error))?;
            begin_claims(&mut connection, origin).await?;
            *begun = Some(origin.opened_at());
        }
        Ok(())
    }
}

/// Commits the effects of an event that is done, and rolls back any others. An error of a handler whose connection is lost
/// is not one of the event.
async fn end(
    transaction: Transaction<'static, Postgres>,
    result: Result<Outcome, BoxError>,
) -> Result<Outcome, BoxError> {
    match result {
        Ok(Outcome::Done) => match commit(transaction).await.map_err(driver_error) {
            Ok(()) => Ok(Outcome::Done),
            Err(error) if error.is_connection() => Err(Redeliver::new(error).into()),
            Err(error) => Err(Error::failed("cannot commit the effects of the event", error).into()),
        },
        Ok(outcome) => {
            // A lost connection has rolled back, too.
            drop(transaction.rollback().await);
            Ok(outcome)
        }
        Err(error) => match transaction.rollback().await {
            Ok(()) => Err(error),
            Err(_) => Err(Redeliver::new(error).into()),
        },
    }
}

/// Commits. If the handler has ignored an error of a statement, a commit would roll back and report nothing, but another
/// statement fails.
async fn commit(mut transaction: Transaction<'static, Postgres>) -> Result<(), sqlx::Error> {
    transaction.execute("select").await?;
    transaction.commit().await
}

fn cannot(what: &str, error: sqlx::Error) -> Error {
    Error::failed(format!("cannot {what} of the pool"), driver_error(error))
}
