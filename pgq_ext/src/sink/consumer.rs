//! Delivery of batches into a sink.

use dbscript::Context;
use log::warn;
use pgq::consume::{ConsumerKind, Place};
use pgq::{Batch, BoxError, Checkpoint, Delivered, Delivery, Settings};

use super::applier::{Applier, Progress, Work, not_applied};
use super::{Position, Sink};
use crate::batches;
use crate::error::Error;

/// Applies batches in a [`Sink`], in sequence, each event exactly once.
///
/// - A batch that starts where the sink's position ends is applied.
/// - A batch of which the sink has the first events is applied from the next event on.
/// - A batch that ends at the sink's position, or before it if the queue has that very tick, was applied before and is
///   only finished.
/// - Any other batch is an error ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)), and nothing is applied.
///
/// Ticks are compared by number and time, so that a tick of the same number of a restored, failed over or new queue is
/// another tick. A batch without events is recorded too, since a batch that is not recorded is not distinguishable from a
/// lost one.
pub struct SinkConsumer<S> {
    applier: Applier<S>,
    /// The position that this process has written last, unless it must be read.
    position: Option<Position>,
}

impl<S: Sink> SinkConsumer<S> {
    /// Makes the delivery of a consumer.
    pub fn new(consumer: &str, sink: S) -> SinkConsumer<S> {
        SinkConsumer { applier: Applier::new(consumer, sink), position: None }
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<Progress, BoxError> {
        let work = self.work(batch)?;
        let is_written = matches!(work, Work::Apply(_));
        let progress = self.applier.apply(batch, work)?;
        if let Progress::Applied(_, position) = &progress {
            self.position = position.clone().filter(|_| is_written);
        }
        Ok(progress)
    }

    /// Compares the sink's position with a batch.
    fn work(&mut self, batch: &mut Batch<'_>) -> Result<Work, BoxError> {
        // Another process of this consumer may have applied batches since.
        let written = self.position.take();
        if written.is_some_and(|written| Place::of(&written.end, batch.info()) == Place::Start) {
            return Ok(Work::Apply(Position::before(batch.info())));
        }
        let Some(position) = self.applier.sink.position()? else {
            return Ok(Work::Apply(Position::before(batch.info())));
        };
        if position.is_of(batch.info()) {
            return Ok(match position.is_complete {
                true => Work::Finish(Some(position)),
                false => Work::Apply(position),
            });
        }
        let at = position.checkpoint();
        match Place::of(at, batch.info()) {
            Place::Start if position.is_complete => Ok(Work::Apply(Position::before(batch.info()))),
            Place::End => Ok(Work::Finish(None)),
            Place::Beyond if batches::has(batch.events(), at)? => {
                let (info, tick) = (batch.info(), at.tick);
                warn!(
                    "the sink is at tick {tick}, past batch {} of ticks {}..{}: not applying it again",
                    info.id, info.prev_tick, info.tick
                );
                Ok(Work::Finish(None))
            }
            Place::Start | Place::Beyond | Place::Elsewhere => Err(self.lost(batch, &position)),
        }
    }

    fn lost(&self, batch: &Batch<'_>, position: &Position) -> BoxError {
        let info = batch.info();
        let why = format!(
            "batch {} goes from {} to {}, the sink has {position}; --rewind moves the source to the sink's tick if it has \
             that very tick, --reset forgets the sink's position",
            info.id,
            Checkpoint::start_of(info),
            Checkpoint::end_of(info)
        );
        Error::lost(&self.applier.consumer, why).into()
    }
}

impl<S: Sink> Delivery for SinkConsumer<S> {
    fn kind(&self) -> ConsumerKind {
        ConsumerKind::Serial
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), BoxError> {
        self.applier.require_consumer(settings)
    }

    fn startup(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        self.applier.startup()
    }

    /// Removes the position of the consumer's earlier registration.
    fn forget(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        self.position = None;
        self.applier.sink.forget()
    }

    fn deliver(&mut self, _cx: &mut Context, mut batch: Batch<'_>) -> Result<Delivered, BoxError> {
        let progress = self.apply(&mut batch).map_err(|error| not_applied(&batch, error))?;
        progress.finish(batch)
    }
}
