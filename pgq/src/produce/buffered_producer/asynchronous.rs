//! The producer's asynchronous methods.

use std::pin::pin;

use tokio::sync::oneshot;

use super::unclaimed::Unclaimed;
use super::{BufferedProducer, CloseError, SendError};
use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// For asynchronous code, with the feature `tokio`. [`try_send`](BufferedProducer::try_send) and
/// [`stats`](BufferedProducer::stats) do not block and can be used there too. Dropping the last clone blocks for up to
/// 5 seconds: [close the producer](BufferedProducer::close_async) before.
impl BufferedProducer {
    /// As [`send`](BufferedProducer::send), without blocking. If the future is dropped, the event is not sent.
    ///
    /// Poll or drop a future that waits for room: after two transactions, other senders wait behind it.
    ///
    /// # Errors
    ///
    /// As [`send`](BufferedProducer::send).
    pub async fn send_async(&self, event: impl Into<OwnedEvent>) -> Result<(), SendError> {
        let shared = &self.0.shared;
        let (mut event, mut ticket) = (event.into(), None);
        loop {
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            match shared.try_send_from(event, ticket.as_ref()) {
                Err(error) if error.is_full() => event = error.into_event(),
                result => return result,
            }
            ticket.get_or_insert_with(|| shared.join_wait_queue());
            changed.await;
        }
    }

    /// As [`flush`](BufferedProducer::flush), without blocking.
    ///
    /// # Errors
    ///
    /// As [`flush`](BufferedProducer::flush).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, and on one without time (`enable_time`).
    pub async fn flush_async(&self) -> Result<(), Error> {
        let shared = &self.0.shared;
        let ticket = shared.request_flush();
        let outcome = async {
            loop {
                let mut changed = pin!(shared.changed.notified());
                changed.as_mut().enable();
                if let Some(outcome) = shared.outcome(ticket.goal) {
                    return outcome;
                }
                changed.await;
            }
        };
        let outcome = tokio::time::timeout(self.0.patience, outcome).await;
        outcome.unwrap_or_else(|_| Err(shared.late(self.0.patience)))
    }

    /// As [`close`](BufferedProducer::close), without blocking.
    ///
    /// If the future is dropped, the producer is closed nevertheless, and the number of events that were not inserted
    /// is logged.
    ///
    /// # Errors
    ///
    /// As [`close`](BufferedProducer::close).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn close_async(&self) -> Result<(), CloseError> {
        let (handle, (sender, receiver)) = (self.0.clone(), oneshot::channel());
        // If nothing receives the result, dropping it logs the events that were lost.
        tokio::task::spawn_blocking(move || drop(sender.send(Unclaimed::new(handle))));
        match receiver.await {
            Ok(unclaimed) => unclaimed.take(),
            Err(_) => {
                let error = Error::failed("the producer was not closed before the runtime ended");
                Err(CloseError::new(self.0.shared.take_rest(), error))
            }
        }
    }
}
