//! Delivery that tracks ticks.

use dbscript::Context;
use log::warn;
use pgq::{Batch, BatchInfo, BoxError, Delivered, Delivery, Events, Settings};
use postgres::Transaction;

use crate::remote::{Record, Target};
use crate::{Error, RemoteHandler, Tracker};

/// Applies batches in another database, in sequence, and records the tick it has come to there. Skytools:
/// `pgq.SerialConsumer`.
///
/// One batch is one transaction on the target. A batch that starts at the target's tick is applied; one that
/// ends at or before it was applied already and is only finished; anything else, a tick that the queue does
/// not know included, is an error ([`Error::is_lost_position`]), and nothing is applied.
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
    fn configure(&mut self, settings: &Settings) -> Result<(), BoxError> {
        Ok(self.0.tracker.configure(settings)?)
    }

    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.0.check(cx)
    }

    fn is_serial(&self) -> bool {
        true
    }

    fn retries(&self) -> bool {
        false
    }

    /// The ticks of an earlier registration mean nothing any more.
    fn forget(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let forgotten = self.0.tracker.set_last_tick(&mut *cx.database(&self.0.dst)?, None);
        Ok(forgotten.map_err(|error| cx.locate(&self.0.dst, error))?)
    }

    fn deliver(&mut self, cx: &mut Context, batch: Batch<'_>) -> Result<Delivered, BoxError> {
        self.0.deliver(cx, batch, &ByTick)
    }
}

struct ByTick;

impl Record for ByTick {
    fn is_done(
        &self,
        tracker: &Tracker,
        dst: &mut Transaction<'_>,
        events: &mut Events<'_>,
    ) -> Result<bool, Error> {
        let target = tracker.last_tick(dst)?;
        let batch = events.info().clone();
        match position(&batch, target) {
            Position::Here => Ok(false),
            Position::Applied => Ok(true),
            // A tick that the queue does not know is of another queue, or of an earlier life of this one.
            Position::Beyond(target) if !events.knows_tick(target).map_err(Error::from)? => {
                Err(Error::lost_position(tracker.consumer(), &batch, target))
            }
            Position::Beyond(target) => {
                warn!(
                    "the target is at tick {target}, past batch {} of ticks {}..{}: not applying it again",
                    batch.id, batch.prev_tick, batch.tick
                );
                Ok(true)
            }
            Position::Lost(target) => Err(Error::lost_position(tracker.consumer(), &batch, target)),
        }
    }

    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error> {
        tracker.set_last_tick(dst, Some(batch.tick))
    }
}

/// Where the target stands, seen from a batch.
#[derive(Debug, PartialEq, Eq)]
enum Position {
    /// At its start, or nowhere yet.
    Here,
    /// At its end.
    Applied,
    /// Past its end.
    Beyond(i64),
    /// Before its start, or amid it.
    Lost(i64),
}

fn position(batch: &BatchInfo, target: Option<i64>) -> Position {
    match target {
        None => Position::Here,
        Some(tick) if tick == batch.prev_tick => Position::Here,
        Some(tick) if tick == batch.tick => Position::Applied,
        Some(tick) if tick > batch.tick => Position::Beyond(tick),
        Some(tick) => Position::Lost(tick),
    }
}
