//! Delivering a batch to the code that processes it, and finishing it.

use dbscript::{BoxError, Context, catch_panic};

use crate::consume::batch::Batch;
use crate::consume::consumer::Consumer;
use crate::consume::delivered::Delivered;
use crate::consume::settings::Settings;
use crate::event::checkpoint::Checkpoint;

/// Where a consumer records that a batch was processed. This decides about locks, retries and subconsumers.
///
/// | | retries events | subconsumers | position comes from | lock held |
/// | --- | --- | --- | --- | --- |
/// | `Transactional` | yes | yes | the queue | for each batch |
/// | `Remote` | no | yes | the queue | for each batch |
/// | `Serial` | no | no | the queue | for each batch |
/// | `Local` | no | no | the file, at the start | while the loop runs |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerKind {
    /// In the transaction that finishes the batch: every [`Consumer`].
    Transactional,
    /// Elsewhere, batch by batch in any order: `pgq_ext::RemoteConsumer`.
    Remote,
    /// Elsewhere, as one position: `pgq_ext::SerialConsumer`.
    Serial,
    /// In a file of this machine: [`LocalConsumer`](crate::LocalConsumer).
    Local,
}

impl ConsumerKind {
    /// Returns whether batches are recorded in another place than the queue, so that the same batch has to come again
    /// after a crash of the server. Opening a batch then waits for the server's disk.
    pub(crate) fn is_recorded_elsewhere(self) -> bool {
        self != ConsumerKind::Transactional
    }

    /// Returns whether one process has to deliver the batches one after the other.
    pub(crate) fn is_in_sequence(self) -> bool {
        matches!(self, ConsumerKind::Serial | ConsumerKind::Local)
    }

    /// Returns whether events may be retried.
    pub(crate) fn retries_events(self) -> bool {
        self == ConsumerKind::Transactional
    }

    /// Returns whether the delivery decides where to start.
    pub(crate) fn resumes(self) -> bool {
        self == ConsumerKind::Local
    }

    /// Returns whether the consumer's lock is held as long as the loop runs, on a connection of its own: two processes
    /// may have files of their own, on two machines.
    pub(crate) fn holds_lock(self) -> bool {
        self == ConsumerKind::Local
    }
}

/// Delivers batches and finishes them. Every [`Consumer`] is one; the other kinds of consumers implement it themselves.
pub trait Delivery {
    /// Returns where batches are recorded as processed.
    fn kind(&self) -> ConsumerKind;

    /// Checks the consumer's settings, or takes names from them, before anything else.
    ///
    /// # Errors
    ///
    /// Any error ends the loop before its first round.
    fn configure(&mut self, _settings: &Settings) -> Result<(), BoxError> {
        Ok(())
    }

    /// Checks, before the consumer is registered, whether batches can be delivered.
    ///
    /// # Errors
    ///
    /// Any error ends the loop before its first round.
    fn startup(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        Ok(())
    }

    /// Removes the record of an earlier registration, while the consumer is registered anew.
    ///
    /// # Errors
    ///
    /// As [`startup`](Delivery::startup).
    fn forget(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        Ok(())
    }

    /// Returns the tick at which a [`ConsumerKind::Local`] delivery continues, if it differs from the queue, where the
    /// consumer stands at tick `at` or is not registered. Called once, with the consumer's lock held. A tick that the
    /// queue does not have, or has with another time, is an error. Defaults to `None`: the queue's position.
    ///
    /// # Errors
    ///
    /// As [`startup`](Delivery::startup) at the start, as [`deliver`](Delivery::deliver) after standing by.
    fn resume(&mut self, _at: Option<Checkpoint>) -> Result<Option<Checkpoint>, BoxError> {
        Ok(None)
    }

    /// Processes a batch and [finishes](Batch::finish) it.
    ///
    /// # Errors
    ///
    /// Any error leaves the batch open; it is delivered again.
    fn deliver(&mut self, cx: &mut Context, batch: Batch<'_>) -> Result<Delivered, BoxError>;
}

/// Processes a batch in the transaction that finishes it.
impl<C: Consumer> Delivery for C {
    fn kind(&self) -> ConsumerKind {
        ConsumerKind::Transactional
    }

    fn deliver(&mut self, _cx: &mut Context, mut batch: Batch<'_>) -> Result<Delivered, BoxError> {
        catch_panic(|| self.process_batch(&mut batch)).map_err(|error| batch.locate(error))?;
        if batch.is_redelivered() {
            return Ok(Delivered::redelivered());
        }
        let mut delivered = Delivered::all_done(batch.count());
        (delivered.retried, delivered.failed) = (batch.retried(), batch.failed());
        batch.finish()?;
        Ok(delivered)
    }
}
