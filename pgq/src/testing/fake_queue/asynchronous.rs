//! Delivery to asynchronous handlers.

use std::future::{Future, pending};
use std::pin::pin;

use dbscript::BoxError;
use tokio::time::Instant;

use super::{FakeQueue, Processed};
use crate::aio::Delivery;
use crate::aio::consume::batch::{Batch, Ledger};
use crate::aio::consume::delivery::deliver_until;
use crate::aio::consume::worker::SHUTDOWN_LIMIT;
use crate::consume::settings::Settings;

/// The consumer's name.
const CONSUMER: &str = "test";

/// For asynchronous handlers, with the feature `tokio`. Concurrency, order, retries within a batch and the retry policy
/// are those of an [`aio::Worker`](crate::aio::Worker). [`aio::Batch::db`](crate::aio::Batch::db) returns an error.
///
/// The clock follows that of `tokio` from the first of these calls on. With the paused time of `tokio`'s feature
/// `test-util`, a handler that sleeps takes no time, and `tokio::time::advance` makes retry events due as
/// [`advance`](FakeQueue::advance) does.
///
/// ```
/// use std::time::Duration;
///
/// use pgq::aio::{Handlers, Json};
/// use pgq::testing::FakeQueue;
/// use pgq::{BoxError, NewEvent, RetryPolicy};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Paid {
///     order: i64,
/// }
///
/// async fn ship(order: i64) -> Result<(), BoxError> {
///     tokio::time::sleep(Duration::from_secs(60)).await;
///     if order > 0 { Ok(()) } else { Err("there is no such order".into()) }
/// }
///
/// #[tokio::main(flavor = "current_thread", start_paused = true)]
/// async fn main() -> Result<(), BoxError> {
///     let mut handlers = Handlers::new().on("paid", |Json(paid): Json<Paid>| ship(paid.order));
///     let policy = RetryPolicy::fixed(Duration::from_secs(600)).max_retries(1);
///     let mut queue = FakeQueue::new("orders").retry_policy(policy);
///     let good = queue.insert(&NewEvent::new("paid", r#"{"order": 7}"#));
///     let bad = queue.insert(&NewEvent::new("paid", r#"{"order": 0}"#));
///
///     let processed = queue.deliver_async(&mut handlers).await?;
///     assert_eq!((processed.done, processed.retried), (vec![good], vec![(bad, Duration::from_secs(600))]));
///     tokio::time::sleep(Duration::from_secs(600)).await;
///     let processed = queue.deliver_async(&mut handlers).await?;
///     assert_eq!(processed.failed, [(bad, "there is no such order".to_owned())]);
///     Ok(())
/// }
/// ```
impl FakeQueue {
    /// Delivers all pending events as one batch to [`aio::Handlers`](crate::aio::Handlers) or an
    /// [`aio::Consumer`](crate::aio::Consumer). Without events nothing is called. If the future is dropped, the events
    /// stay pending.
    ///
    /// # Errors
    ///
    /// The error of a handler without a retry policy. The events stay pending then.
    pub async fn deliver_async(&mut self, delivery: &mut impl Delivery) -> Result<Processed, BoxError> {
        self.deliver_until(delivery, pending()).await
    }

    /// As [`deliver_async`](FakeQueue::deliver_async), by a worker that is to end when `shutdown` is ready. Events that
    /// are put back are retried without a delay. If `shutdown` is ready at the start, handlers without order put all back.
    ///
    /// A batch that does not end within 30 seconds, the default of
    /// [`shutdown_limit`](crate::aio::Worker::shutdown_limit), is given up, and its events stay pending.
    ///
    /// # Errors
    ///
    /// As [`deliver_async`](FakeQueue::deliver_async).
    pub async fn deliver_until(
        &mut self,
        delivery: &mut impl Delivery,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Processed, BoxError> {
        self.follow_clock();
        self.redeliver_due();
        if self.pending.is_empty() {
            return Ok(Processed::default());
        }
        let mut settings = Settings::new(&self.name, CONSUMER);
        settings.retry_policy = self.policy.clone();
        let ledger = Ledger::default();
        let batch = Batch::of_test(settings, self.info(), self.events(), ledger.clone()).await;
        let ending = deliver_until(delivery, batch, pin!(shutdown), SHUTDOWN_LIMIT).await;
        self.follow_clock();
        ending.result?;
        Ok(ledger.take().map_or_else(Processed::default, |(read, tags)| self.settle(read, tags)))
    }

    /// Advances the clock by as much as the clock of `tokio` has advanced.
    fn follow_clock(&mut self) {
        let now = Instant::now();
        if let Some(before) = self.followed.replace(now) {
            self.advance(now.saturating_duration_since(before));
        }
    }
}

#[cfg(test)]
mod tests;
