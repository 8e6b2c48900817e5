//! Delivering a batch to the code that handles its events, and committing it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use dbscript::{BoxError, catch_panic};

use super::batch::Batch;
use super::consumer::Consumer;
use super::shutdown::Shutdown;
use crate::consume::delivered::Delivered;
use crate::consume::settings::Settings;

/// Code that handles batches: a [`Consumer`], or [`Handlers`](super::Handlers).
pub trait Delivery: Send + private::Sealed {
    /// Adapts the settings of the consumer.
    #[doc(hidden)]
    fn configure(&self, _settings: &mut Settings) {}

    /// Handles the events of a batch and commits it.
    #[doc(hidden)]
    fn deliver(
        &mut self,
        batch: Batch,
        shutdown: &Shutdown,
    ) -> impl Future<Output = Result<Delivered, BoxError>> + Send;
}

pub(in crate::aio) mod private {
    pub trait Sealed {}
}

impl<C: Consumer> private::Sealed for C {}

/// Handles the events one after the other, in the transaction that finishes the batch.
impl<C: Consumer> Delivery for C {
    async fn deliver(&mut self, mut batch: Batch, _shutdown: &Shutdown) -> Result<Delivered, BoxError> {
        batch.send_tags_early();
        while let Some(event) = batch.next_event().await? {
            batch.start_handler();
            let result = caught(self.process_event(&event, &mut batch)).await;
            batch.end_handler(&event, result).await?;
        }
        let delivered = batch.delivered();
        batch.commit().await?;
        Ok(delivered)
    }
}

/// Turns a panic of a handler into an error.
pub(in crate::aio) async fn caught<T>(
    handler: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let mut handler = pin!(handler);
    poll_fn(|cx| match catch_panic(|| Ok(handler.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
