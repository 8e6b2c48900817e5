//! Delivery that tracks ticks.

use dbscript::Context;
use log::warn;
use pgq::consume::{ConsumerKind, Place};
use pgq::{Batch, BatchInfo, BoxError, Checkpoint, Delivered, Delivery, Events, Settings};
use postgres::Transaction;

use crate::batches;
use crate::error::Error;
use crate::handler::RemoteHandler;
use crate::remote::{Record, Target};
use crate::tracker::Tracker;

/// Applies batches in another database, in sequence, and records its last tick there. Skytools:
/// `pgq.SerialConsumer`.
///
/// One batch is one transaction on the target. A batch that starts at the target's tick is applied; one that ends at
/// it, or before it if the queue has that very tick, was applied already and is only finished; anything else is an
/// error ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)), and nothing is applied. Ticks are compared by
/// number and time, so a tick of the same number that a restored, failed over or new queue has made is another one. A
/// number whose time is not recorded, as Python consumers write it, is accepted once and gets its time.
///
/// The record goes by the consumer's name alone, so each consumer of a target needs a name of its own, also
/// when their sources are different.
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

    /// The ticks of an earlier registration mean nothing any more.
    fn forget(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let forgotten = self.0.tracker.set_last_tick(&mut *cx.database(&self.0.dst)?, None);
        Ok(forgotten.map_err(|error| cx.locate(&self.0.dst, error))?)
    }

    fn deliver(&mut self, cx: &mut Context, batch: Batch<'_>) -> Result<Delivered, BoxError> {
        self.0.refresh(cx)?;
        let record = ByTick { by_number: self.0.by_number };
        self.0.deliver(cx, batch, &record)
    }
}

/// Records the tick, with its time unless the target's schema keeps numbers only.
struct ByTick {
    by_number: bool,
}

impl ByTick {
    fn read(&self, tracker: &Tracker, dst: &mut Transaction<'_>) -> Result<Option<Checkpoint>, Error> {
        match self.by_number {
            false => tracker.checkpoint(dst),
            true => Ok(tracker.last_tick(dst)?.map(|tick| Checkpoint::new(tick, None))),
        }
    }

    fn write(&self, tracker: &Tracker, dst: &mut Transaction<'_>, at: &Checkpoint) -> Result<(), Error> {
        match self.by_number {
            false => tracker.set_checkpoint(dst, at),
            true => tracker.set_last_tick(dst, Some(at.tick)),
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
            // A tick that the queue does not have is of another queue, or of an earlier life of this one.
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
            // The number alone is accepted once.
            self.write(tracker, dst, &at)?;
        }
        Ok(true)
    }

    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error> {
        self.write(tracker, dst, &Checkpoint::end_of(batch))
    }
}
