//! The trait of a consumer whose effects are committed together with the batch.

use std::future::Future;

use dbscript::BoxError;

use super::batch::Batch;
use crate::consume::outcome::Outcome;
use crate::event::stored_event::Event;

/// Handles the events of a queue one after the other, in their order. What a handler writes through
/// [`Batch::db`] is committed together with the batch, so each event has its effect once.
///
/// ```no_run
/// use pgq::aio::{Batch, Consumer, Worker};
/// use pgq::{BoxError, Event, Outcome};
///
/// struct Welcome;
///
/// impl Consumer for Welcome {
///     async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
///         batch.db().await?.execute("insert into welcomed values ($1)", &[&event.data()]).await?;
///         Ok(Outcome::Done)
///     }
/// }
///
/// # async fn run() -> Result<(), pgq::Error> {
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// Worker::new("dbname=queries", "mailer", "welcome").run_until(Welcome, stop).await
/// # }
/// ```
pub trait Consumer: Send {
    /// Handles one event.
    ///
    /// # Errors
    ///
    /// An error or a panic rolls the batch back, and the batch is delivered again. With a
    /// [`RetryPolicy`](crate::RetryPolicy), it rolls back what was written for this event, and the policy decides the
    /// event's outcome. The errors that end a worker are those of [`pgq::Consumer`](crate::Consumer#errors).
    fn process_event(
        &mut self,
        event: &Event,
        batch: &mut Batch,
    ) -> impl Future<Output = Result<Outcome, BoxError>> + Send;
}
