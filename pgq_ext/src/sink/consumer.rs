//! Delivery of batches into a sink.

use dbscript::Context;
use log::{info, warn};
use pgq::consume::{ConsumerKind, Place};
use pgq::{Batch, BoxError, Checkpoint, Delivered, Delivery, Event, Settings};

use super::{Limits, Position, Sink};
use crate::batches;
use crate::error::Error;

/// The most refused events of a batch, which its position lists.
const MAX_FAILED: usize = 1_000;
/// The reason of a refused event for which the sink has no reason now.
const REFUSED_BEFORE: &str = "the sink has refused it";

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
    consumer: String,
    sink: S,
    /// The position that this process has written last, unless it must be read.
    position: Option<Position>,
}

/// What a batch needs.
enum Work {
    /// To be applied behind this position.
    Apply(Position),
    /// To be finished, with these events as failed.
    Finish(Option<Position>),
}

/// What became of a batch.
enum Progress {
    Applied(u64),
    Stopped,
}

impl<S: Sink> SinkConsumer<S> {
    /// Makes the delivery of a consumer.
    pub fn new(consumer: &str, sink: S) -> SinkConsumer<S> {
        SinkConsumer { consumer: consumer.to_owned(), sink, position: None }
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<Progress, BoxError> {
        match self.work(batch)? {
            Work::Apply(position) => {
                if position.events > 0 {
                    self.skip(batch, &position)?;
                    let (id, events) = (batch.info().id, position.events);
                    info!("batch {id}: {events} events were applied before, continuing behind them");
                }
                self.apply_rest(batch, position)
            }
            Work::Finish(position) => {
                if let Some(position) = position.filter(|position| !position.failed.is_empty()) {
                    self.skip(batch, &position)?;
                }
                info!("batch {} was applied before, finishing it", batch.info().id);
                Ok(Progress::Applied(0))
            }
        }
    }

    /// Compares the sink's position with a batch.
    fn work(&mut self, batch: &mut Batch<'_>) -> Result<Work, BoxError> {
        // Another process of this consumer may have applied batches since.
        let written = self.position.take();
        if written.is_some_and(|written| Place::of(&written.end, batch.info()) == Place::Start) {
            return Ok(Work::Apply(Position::before(batch.info())));
        }
        let Some(position) = self.sink.position()? else {
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

    /// Reads the events that the sink has, compares the last one, and tags the ones that the sink has refused as failed.
    fn skip(&mut self, batch: &mut Batch<'_>, position: &Position) -> Result<(), BoxError> {
        let mut failed = position.failed.iter().peekable();
        let mut id = None;
        for number in 1..=position.events {
            let Some(event) = batch.events().next_event()? else {
                let (count, batch) = (position.events, batch.info().id);
                let why = format!("the sink has {count} events of batch {batch}, which has {}", number - 1);
                return Err(Error::lost(&self.consumer, why).into());
            };
            if failed.next_if_eq(&&number).is_some() {
                // The decision stands, whatever the sink would decide now.
                let reason = self.sink.refuses(&event).unwrap_or_default();
                batch.fail(&event, reason.unwrap_or_else(|| REFUSED_BEFORE.to_owned()));
            }
            id = Some(event.id());
        }
        if id == position.last_event {
            return Ok(());
        }
        let show = |id: Option<i64>| id.map_or("none".to_owned(), |id| id.to_string());
        let why = format!(
            "event {} of batch {} has id {}, the sink's has id {}",
            position.events,
            batch.info().id,
            show(id),
            show(position.last_event)
        );
        Err(Error::lost(&self.consumer, why).into())
    }

    fn apply_rest(&mut self, batch: &mut Batch<'_>, mut position: Position) -> Result<Progress, BoxError> {
        let mut part = Part::new(self.sink.limits());
        let mut count = 0;
        while let Some(event) = batch.events().next_event()? {
            let refusal = self.sink.refuses(&event)?;
            if part.is_full_with(&event) {
                self.sink.apply(&part.events, &position)?;
                part.clear();
                if batch.is_stopping() {
                    return Ok(Progress::Stopped);
                }
            }
            position.events += 1;
            position.last_event = Some(event.id());
            count += 1;
            match refusal {
                None => part.push(event),
                Some(reason) => {
                    self.fail(batch, &event, reason, &mut position)?;
                    // A refused event ends its part, so that the sink knows which one of the batch it is.
                    self.sink.apply(&part.events, &position)?;
                    part.clear();
                }
            }
        }
        position.is_complete = true;
        self.sink.apply(&part.events, &position)?;
        self.position = Some(position);
        Ok(Progress::Applied(count))
    }

    /// Tags the position's last event as failed.
    fn fail(
        &self,
        batch: &mut Batch<'_>,
        event: &Event,
        reason: String,
        position: &mut Position,
    ) -> Result<(), BoxError> {
        if position.failed.len() == MAX_FAILED {
            let what =
                format!("the sink refuses more than {MAX_FAILED} events of the batch, now {}", event.id());
            return Err(dbscript::Error::failed(what).caused_by(reason).into());
        }
        warn!("event {} goes to the failed events: {reason}", event.id());
        batch.fail(event, reason);
        position.failed.push(position.events);
        Ok(())
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
        Error::lost(&self.consumer, why).into()
    }
}

impl<S: Sink> Delivery for SinkConsumer<S> {
    fn kind(&self) -> ConsumerKind {
        ConsumerKind::Serial
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), BoxError> {
        if settings.consumer == self.consumer {
            return Ok(());
        }
        let what =
            format!("the sink is that of consumer `{}`, not of `{}`", self.consumer, settings.consumer);
        Err(dbscript::Error::usage(what).into())
    }

    fn startup(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        self.sink.startup(&self.consumer)
    }

    /// Removes the position of the consumer's earlier registration.
    fn forget(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        self.position = None;
        self.sink.forget()
    }

    fn deliver(&mut self, _cx: &mut Context, mut batch: Batch<'_>) -> Result<Delivered, BoxError> {
        let progress = self.apply(&mut batch).map_err(|error| {
            let what = format!("cannot apply the batch ({})", batch.place());
            dbscript::Error::failed(what).caused_by(error)
        })?;
        match progress {
            Progress::Applied(events) => {
                let mut delivered = Delivered::all_done(events);
                delivered.failed = batch.failed();
                // The sink has the batch. If finishing fails, the batch is redelivered and skipped.
                batch.finish_applied()?;
                Ok(delivered)
            }
            Progress::Stopped => {
                let mut delivered = Delivered::all_done(0);
                delivered.redelivered = true;
                Ok(delivered)
            }
        }
    }
}

/// Events that are applied together.
struct Part {
    limits: Limits,
    events: Vec<Event>,
    bytes: usize,
}

impl Part {
    fn new(limits: Limits) -> Part {
        Part { limits, events: Vec::new(), bytes: 0 }
    }

    /// Returns whether the part must be applied before an event is added.
    fn is_full_with(&self, event: &Event) -> bool {
        let is_empty = self.events.is_empty();
        !is_empty && (self.events.len() >= self.limits.events || self.bytes + size(event) > self.limits.bytes)
    }

    fn push(&mut self, event: Event) {
        self.bytes += size(&event);
        self.events.push(event);
    }

    fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }
}

/// Returns the length of an event's texts in bytes.
fn size(event: &Event) -> usize {
    let extras = [event.extra1(), event.extra2(), event.extra3(), event.extra4()];
    let texts = extras.into_iter().chain([event.data(), Some(event.event_type())]);
    texts.flatten().map(str::len).sum()
}
