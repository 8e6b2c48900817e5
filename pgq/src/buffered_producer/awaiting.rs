//! The producer's methods for code that must not block.

use std::pin::pin;

use tokio::sync::oneshot;

use super::{BufferedProducer, CloseError, SendError};
use crate::{Error, OwnedEvent};

/// For asynchronous code, with the feature `tokio`. [`try_send`](BufferedProducer::try_send) and
/// [`stats`](BufferedProducer::stats) never wait, so they serve there too. Dropping the last clone waits as
/// [`close`](BufferedProducer::close) does: [close it](BufferedProducer::close_async) first.
impl BufferedProducer {
    /// As [`send`](BufferedProducer::send), awaiting. When the future is dropped, the event was not sent.
    ///
    /// # Errors
    ///
    /// As [`send`](BufferedProducer::send).
    pub async fn send_async(&self, event: impl Into<OwnedEvent>) -> Result<(), SendError> {
        let mut event = event.into();
        loop {
            let mut told = pin!(self.0.shared.told.notified());
            told.as_mut().enable();
            match self.0.shared.try_send(event) {
                Err(error) if error.is_full() => event = error.into_event(),
                result => return result,
            }
            told.await;
        }
    }

    /// As [`flush`](BufferedProducer::flush), awaiting. Needs a runtime with time enabled.
    ///
    /// # Errors
    ///
    /// As [`flush`](BufferedProducer::flush).
    pub async fn flush_async(&self) -> Result<(), Error> {
        let shared = &self.0.shared;
        let goal = shared.want_all();
        let outcome = async {
            loop {
                let mut told = pin!(shared.told.notified());
                told.as_mut().enable();
                if let Some(outcome) = shared.outcome(goal) {
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
        let (producer, (tell, told)) = (self.clone(), oneshot::channel());
        tokio::task::spawn_blocking(move || {
            if let Err(Err(lost)) = tell.send(producer.close()) {
                producer.0.log_loss(&lost);
            }
        });
        told.await.unwrap_or_else(|_| {
            let error = Error::failed("the producer was not closed before the runtime ended");
            Err(CloseError::new(self.0.shared.take_rest(), error))
        })
    }
}
