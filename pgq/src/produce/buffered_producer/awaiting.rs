//! The producer's methods for code that must not block.

use std::pin::pin;

use tokio::sync::oneshot;

use super::unclaimed::Unclaimed;
use super::{BufferedProducer, CloseError, SendError};
use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// For asynchronous code, with the feature `tokio`. [`try_send`](BufferedProducer::try_send) and
/// [`stats`](BufferedProducer::stats) never wait, so they serve there too. Dropping the last clone waits as
/// [`close`](BufferedProducer::close) does: [close it](BufferedProducer::close_async) first.
impl BufferedProducer {
    /// As [`send`](BufferedProducer::send), awaiting. When the future is dropped, the event was not sent.
    ///
    /// A future that waits for room has to be polled or dropped: after a while, other senders wait behind it.
    ///
    /// # Errors
    ///
    /// As [`send`](BufferedProducer::send).
    pub async fn send_async(&self, event: impl Into<OwnedEvent>) -> Result<(), SendError> {
        let shared = &self.0.shared;
        let (mut event, mut place) = (event.into(), None);
        loop {
            let mut told = pin!(shared.told.notified());
            told.as_mut().enable();
            match shared.try_send_from(event, place.as_ref()) {
                Err(error) if error.is_full() => event = error.into_event(),
                result => return result,
            }
            place.get_or_insert_with(|| shared.line_up());
            told.await;
        }
    }

    /// As [`flush`](BufferedProducer::flush), awaiting.
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
        let wish = shared.want_all();
        let outcome = async {
            loop {
                let mut told = pin!(shared.told.notified());
                told.as_mut().enable();
                if let Some(outcome) = shared.outcome(wish.goal) {
                    return outcome;
                }
                told.await;
            }
        };
        let outcome = tokio::time::timeout(self.0.patience, outcome).await;
        outcome.unwrap_or_else(|_| Err(shared.late(self.0.patience)))
    }

    /// As [`close`](BufferedProducer::close), awaiting.
    ///
    /// When the future is dropped, the producer is closed all the same, and what could not be inserted is counted
    /// in the log.
    ///
    /// # Errors
    ///
    /// As [`close`](BufferedProducer::close).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn close_async(&self) -> Result<(), CloseError> {
        let (handle, (tell, told)) = (self.0.clone(), oneshot::channel());
        // What nobody receives is dropped, wherever it is then, and logged.
        tokio::task::spawn_blocking(move || drop(tell.send(Unclaimed::new(handle))));
        match told.await {
            Ok(unclaimed) => unclaimed.take(),
            Err(_) => {
                let error = Error::failed("the producer was not closed before the runtime ended");
                Err(CloseError::new(self.0.shared.take_rest(), error))
            }
        }
    }
}
