//! The trait of a consumer: its code that processes events.

use crate::consume::batch::Batch;
use crate::consume::outcome::Outcome;
use crate::error::Error;
use crate::event::stored_event::Event;
use dbscript::BoxError;

/// Handles the events of a queue. Implement one of the two methods. Skytools: `pgq.Consumer`.
///
/// # Errors
///
/// `?` works on any error. An error rolls the batch back, and the batch is delivered again. With a
/// [`RetryPolicy`](crate::RetryPolicy), an error or a panic of [`process_event`](Consumer::process_event) counts
/// against its event alone. Errors of this crate's functions, such as that of a wrong argument, are no exceptions.
///
/// These errors end the loop, with any policy:
///
/// - those that the handler makes by `dbscript::Error::usage` and `dbscript::Error::fatal`,
/// - [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), which a handler gets that does not fit the settings.
///
/// [`Redeliver`](crate::consume::Redeliver) delivers the batch again, with any policy.
///
/// # After a crash
///
/// After a crash of the server a batch may be delivered again with other ticks and its old id. Only
/// [`Event::id`] identifies, in another system, an event that was processed before.
pub trait Consumer {
    /// Handles a batch. By default calls [`process_event`](Consumer::process_event) for each event.
    ///
    /// # Errors
    ///
    /// Any error rolls the batch back.
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        while let Some(event) = batch.next_event()? {
            let outcome = batch.attempt(&event, |batch| self.process_event(&event, batch));
            batch.settle(&event, outcome.map_err(|error| batch.handler_failed(&event, error))?);
        }
        Ok(())
    }

    /// Handles one event.
    ///
    /// # Errors
    ///
    /// Any error rolls the whole batch back, or, with a policy, what was written for this event.
    fn process_event(&mut self, _event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        let what = "the consumer implements neither `process_batch` nor `process_event`";
        Err(Error::misconfigured(what).into())
    }
}

impl<C: Consumer + ?Sized> Consumer for &mut C {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        (**self).process_batch(batch)
    }

    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        (**self).process_event(event, batch)
    }
}

impl<C: Consumer + ?Sized> Consumer for Box<C> {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        (**self).process_batch(batch)
    }

    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        (**self).process_event(event, batch)
    }
}
