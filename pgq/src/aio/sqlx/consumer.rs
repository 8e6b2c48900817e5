//! Consumers whose effects are committed together with the batch, in transactions of `sqlx`.

use std::future::Future;

use dbscript::BoxError;
use sqlx::{PgConnection, PgPool};

use super::failure::{driver_error, failed};
use crate::aio::consume::delivery::{Delivery, caught, private};
use crate::aio::{Batch, Shutdown};
use crate::consume::delivered::Delivered;
use crate::consume::outcome::Outcome;
use crate::event::stored_event::Event;

/// Handles the events of a queue one after the other, in their order, each in the transaction of the batch. The writes of
/// a handler are committed together with the batch, so each event has its effect once. [`Transactional`] makes it the
/// consumer of a [`Worker`](crate::aio::Worker).
pub trait Consumer: Send {
    /// Handles one event, in a transaction of `sqlx`. Neither commit nor roll it back.
    ///
    /// # Errors
    ///
    /// An error or a panic rolls the batch back, and the batch is delivered again. With a
    /// [`RetryPolicy`](crate::RetryPolicy), it rolls back the writes for this event, and the policy decides the
    /// event's outcome. The errors that end a worker are those of [`pgq::Consumer`](crate::Consumer#errors).
    fn process_event(
        &mut self,
        event: &Event,
        tx: &mut PgConnection,
    ) -> impl Future<Output = Result<Outcome, BoxError>> + Send;
}

/// Runs a [`Consumer`]: each batch is a transaction on a connection of the pool, which also finishes the batch.
///
/// ```no_run
/// use pgq::aio::Worker;
/// use pgq::sqlx::{Consumer, Transactional};
/// use pgq::{BoxError, Event, Outcome};
/// use sqlx::{PgConnection, PgPool};
///
/// struct Welcome;
///
/// impl Consumer for Welcome {
///     async fn process_event(&mut self, event: &Event, tx: &mut PgConnection) -> Result<Outcome, BoxError> {
///         sqlx::query("insert into welcomed values ($1)").bind(event.data()).execute(tx).await?;
///         Ok(Outcome::Done)
///     }
/// }
///
/// # async fn run(pool: PgPool) -> Result<(), pgq::Error> {
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// Worker::new("dbname=queries", "mailer", "welcome").run_until(Transactional::new(pool, Welcome), stop).await
/// # }
/// ```
///
/// The pool and the worker's connection string are of the same database. Roles, isolation levels and errors are those of
/// [`Batch::commit_in`](crate::aio::Batch::commit_in). With a [`RetryPolicy`](crate::RetryPolicy) each event costs a
/// savepoint, a round trip.
#[derive(Debug)]
pub struct Transactional<C> {
    pool: PgPool,
    consumer: C,
}

impl<C: Consumer> Transactional<C> {
    /// Makes a consumer that takes its transactions from a pool.
    pub fn new(pool: PgPool, consumer: C) -> Transactional<C> {
        Transactional { pool, consumer }
    }
}

impl<C: Consumer> private::Sealed for Transactional<C> {}

impl<C: Consumer> Delivery for Transactional<C> {
    async fn deliver(&mut self, mut batch: Batch, _shutdown: &Shutdown) -> Result<Delivered, BoxError> {
        let begun = self.pool.begin().await;
        let mut tx = begun.map_err(|error| failed(batch.queue(), "cannot start a transaction", error))?;
        batch.start_handlers_in(&mut tx).await?;
        while let Some(event) = batch.next_event().await? {
            let span = batch.span().event(&event);
            batch.start_handler_in(&mut tx).await?;
            let handling = caught(self.consumer.process_event(&event, &mut tx));
            let result = span.instrument(handling).await.map_err(located);
            batch.end_handler_in(&event, &span, result, &mut tx).await?;
            batch.send_many_in(&mut tx).await?;
        }
        let delivered = batch.delivered();
        batch.commit_in(tx).await?;
        Ok(delivered)
    }
}

/// Adds the SQLSTATE to an error of `sqlx`.
fn located(error: BoxError) -> BoxError {
    match error.downcast::<sqlx::Error>() {
        Ok(error) => driver_error(*error).into(),
        Err(error) => error,
    }
}
