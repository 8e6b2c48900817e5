//! Delivering a batch to the code that handles its events, and committing it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use dbscript::{BoxError, catch_panic};
use tokio::time::timeout;

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
            let span = batch.span().event(&event);
            batch.start_handler();
            let result = span.instrument(caught(self.process_event(&event, &mut batch))).await;
            batch.end_handler(&event, &span, result).await?;
        }
        let delivered = batch.delivered();
        batch.commit().await?;
        Ok(delivered)
    }
}

/// The end of the delivery of a batch.
pub(crate) struct Ending {
    /// The result, or `None` when the batch did not end in time after the request to shut down.
    pub(crate) result: Result<Option<Delivered>, BoxError>,
    /// Whether the shutdown was requested.
    pub(crate) is_last: bool,
}

/// Delivers a batch. When `shutdown` is ready meanwhile, the batch may take as long as `limit` to end.
pub(crate) async fn deliver_until(
    delivery: &mut impl Delivery,
    batch: Batch,
    shutdown: Pin<&mut impl Future<Output = ()>>,
    limit: Duration,
) -> Ending {
    let (request, requested) = Shutdown::new();
    let (span, lock_lost) = (batch.span().clone(), batch.lock_lost());
    let mut delivering = pin!(span.instrument(async {
        let delivered = tokio::select! {
            delivered = delivery.deliver(batch, &requested) => delivered,
            error = lock_lost => Err(error.into()),
        };
        span.ended(&delivered);
        delivered
    }));
    tokio::select! {
        biased;
        () = shutdown => {
            request.send_replace(true);
            let delivered = timeout(limit, delivering).await.ok();
            if delivered.is_none() {
                span.redelivered();
            }
            Ending { result: delivered.transpose(), is_last: true }
        }
        delivered = &mut delivering => Ending { result: delivered.map(Some), is_last: false },
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
