//! What a consumer supplies: what to do with events.

use crate::consume::batch::Batch;
use crate::consume::outcome::Outcome;
use crate::error::Error;
use crate::event::stored_event::Event;
use dbscript::BoxError;

/// Handles the events of a queue. Implement one of the two methods. Skytools: `pgq.Consumer`.
///
/// An `Err` rolls the batch back; it is delivered again. With a [`RetryPolicy`](crate::RetryPolicy), an `Err` or a
/// panic of [`process_event`](Consumer::process_event) is about its event alone. `?` works on any error. A usage error
/// or a fatal one, such as `dbscript::Error::usage` makes, is about the program: it ends the loop with any policy.
///
/// After a crash of the server a batch may come again with other ticks and its old id, so only
/// [`Event::id`] tells elsewhere what was handled before.
pub trait Consumer {
    /// Handles a batch. By default calls [`process_event`](Consumer::process_event) for each event.
    ///
    /// # Errors
    ///
    /// Any error rolls the batch back.
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        while let Some(event) = batch.next_event()? {
            let outcome =
                batch.attempt(&event, |batch| self.process_event(&event, batch)).map_err(|error| {
                    let failed = Error::failed("cannot process the event").at_event(event.id());
                    failed.on_queue(batch.queue()).in_batch(batch.info().id).caused_by(error)
                })?;
            batch.settle(&event, outcome);
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
        Err(Error::usage(what).into())
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
