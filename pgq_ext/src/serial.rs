//! Delivery that tracks ticks.

use dbscript::Context;
use log::warn;
use pgq::consume::{ConsumerKind, Place};
use pgq::{Batch, BatchInfo, BoxError, Checkpoint, Delivered, Delivery, Events, Settings};
use postgres::Transaction;

use crate::batches;
use crate::error::Error;
use crate::handler::RemoteHandler;
use crate::remote::{Record, RecordFormat, Target};
use crate::tracker::Tracker;

/// Applies batches in another database, in sequence, and records its last tick there. Skytools:
/// `pgq.SerialConsumer`.
///
/// One batch is one transaction on the target, which records the batch's last tick as the target's tick:
///
/// - A batch that starts at the target's tick is applied.
/// - A batch that ends at the target's tick, or before it if the queue has that very tick, was applied before and is only
///   finished.
/// - Any other batch is an error ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)), and nothing is applied.
///
/// Ticks are compared by number and time, so that a tick of the same number of a restored, failed over or new queue is
/// another tick. A number without a recorded time, as Python consumers write it, is accepted once and gets its time.
///
/// The consumer's name alone identifies the record, so each consumer of a target needs a name of its own, even if their
/// sources are different.
pub struct SerialConsumer<H>(Target<H>);

impl<H: RemoteHandler> SerialConsumer<H> {
    /// Makes the delivery of a consumer; `dst` is the name of the target database in the loop's [`Context`].
    pub fn new(consumer: &str, dst: &str, handler: H) -> SerialConsumer<H> {
        SerialConsumer(Target::new(consumer, dst, handler))
    }
}

impl<H: RemoteHandler> Delivery for SerialConsumer<H> {
    fn kind(&self) -> ConsumerKind {
        ConsumerKind::Serial
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), BoxError> {
        Ok(self.0.tracker.configure(settings)?)
    }

    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.0.check(cx)
    }

    /// Removes the tick of the consumer's earlier registration.
    fn forget(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.0.forget(cx, |tracker, dst| tracker.set_last_tick(dst, None))
    }

    fn deliver(&mut self, cx: &mut Context, batch: Batch<'_>) -> Result<Delivered, BoxError> {
        self.0.deliver(cx, batch, ByTick)
    }
}

/// Records the tick, and its time if the format has times.
struct ByTick(RecordFormat);

impl ByTick {
    fn read(&self, tracker: &Tracker, dst: &mut Transaction<'_>) -> Result<Option<Checkpoint>, Error> {
        match self.0 {
            RecordFormat::Times => tracker.checkpoint(dst),
            RecordFormat::Numbers => Ok(tracker.last_tick(dst)?.map(|tick| Checkpoint::new(tick, None))),
        }
    }

    fn write(&self, tracker: &Tracker, dst: &mut Transaction<'_>, at: &Checkpoint) -> Result<(), Error> {
        match self.0 {
            RecordFormat::Times => tracker.set_checkpoint(dst, at),
            RecordFormat::Numbers => tracker.set_last_tick(dst, Some(at.tick)),
        }
    }
}

impl Record for ByTick {
    fn is_done(
        &self,
        tracker: &Tracker,
        dst: &mut Transaction<'_>,
        events: &mut Events<'_>,
    ) -> Result<bool, Error> {
        let batch = events.info().clone();
        let Some(target) = self.read(tracker, dst)? else {
            return Ok(false);
        };
        let at = match Place::of(&target, &batch) {
            Place::Start => return Ok(false),
            Place::End => Checkpoint::end_of(&batch),
            // A tick that the queue does not have is of another queue, or of an earlier queue of this name.
            Place::Beyond if batches::has(events, &target)? => {
                warn!(
                    "the target is at tick {}, past batch {} of ticks {}..{}: not applying it again",
                    target.tick, batch.id, batch.prev_tick, batch.tick
                );
                Checkpoint::new(target.tick, events.tick_time(target.tick)?)
            }
            Place::Beyond | Place::Elsewhere => {
                return Err(Error::lost_position(tracker.consumer(), &batch, &target));
            }
        };
        if target.time.is_none() {
            // A record without a time is accepted once and gets the tick's time.
            self.write(tracker, dst, &at)?;
        }
        Ok(true)
    }

    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error> {
        self.write(tracker, dst, &Checkpoint::end_of(batch))
    }
}
