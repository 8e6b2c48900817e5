//! Applying the events of a batch, part by part.

use log::{info, warn};
use pgq::{Batch, BoxError, Delivered, Event, Settings};

use super::part::Part;
use super::{Position, Sink};
use crate::error::Error;

/// The most refused events of a batch, which its position lists.
const MAX_FAILED: usize = 1_000;
/// The reason of a refused event for which the sink has no reason now.
const REFUSED_BEFORE: &str = "the sink has refused it";

/// A sink, and the consumer whose events it applies.
pub(super) struct Applier<S> {
    pub(super) consumer: String,
    pub(super) sink: S,
}

/// The treatment of a batch.
pub(super) enum Work {
    /// To be applied behind this position.
    Apply(Position),
    /// To be finished, with these events as failed.
    Finish(Option<Position>),
}

/// The outcome of a batch.
pub(super) enum Progress {
    /// All its events are applied, so many of them now. The position is the sink's, if it has one of this batch.
    Applied(u64, Option<Position>),
    Stopped,
}

impl<S: Sink> Applier<S> {
    pub(super) fn new(consumer: &str, sink: S) -> Applier<S> {
        Applier { consumer: consumer.to_owned(), sink }
    }

    /// Fails for the settings of another consumer.
    pub(super) fn require_consumer(&self, settings: &Settings) -> Result<(), BoxError> {
        if settings.consumer == self.consumer {
            return Ok(());
        }
        let what =
            format!("the sink is that of consumer `{}`, not of `{}`", self.consumer, settings.consumer);
        Err(dbscript::Error::usage(what).into())
    }

    pub(super) fn startup(&mut self) -> Result<(), BoxError> {
        self.sink.startup(&self.consumer)
    }

    pub(super) fn apply(&mut self, batch: &mut Batch<'_>, work: Work) -> Result<Progress, BoxError> {
        match work {
            Work::Apply(position) => {
                if position.events > 0 {
                    self.skip(batch, &position)?;
                    let (id, events) = (batch.info().id, position.events);
                    info!("batch {id}: {events} events were applied before, continuing behind them");
                }
                self.apply_rest(batch, position)
            }
            Work::Finish(position) => {
                if let Some(position) = position.as_ref().filter(|position| !position.failed.is_empty()) {
                    self.skip(batch, position)?;
                }
                info!("batch {} was applied before, finishing it", batch.info().id);
                Ok(Progress::Applied(0, position))
            }
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
                self.sink.apply(part.events(), &position)?;
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
                    fail(batch, &event, reason, &mut position)?;
                    // A refused event ends its part, so that the sink knows which one of the batch it is.
                    self.sink.apply(part.events(), &position)?;
                    part.clear();
                }
            }
        }
        position.is_complete = true;
        self.sink.apply(part.events(), &position)?;
        Ok(Progress::Applied(count, Some(position)))
    }
}

impl Progress {
    /// Finishes the batch if all its events are applied.
    pub(super) fn finish(&self, batch: Batch<'_>) -> Result<Delivered, BoxError> {
        match self {
            Progress::Applied(events, _) => {
                let mut delivered = Delivered::all_done(*events);
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

/// Tags the position's last event as failed.
fn fail(
    batch: &mut Batch<'_>,
    event: &Event,
    reason: String,
    position: &mut Position,
) -> Result<(), BoxError> {
    if position.failed.len() == MAX_FAILED {
        let what = format!("the sink refuses more than {MAX_FAILED} events of the batch, now {}", event.id());
        return Err(dbscript::Error::failed(what).caused_by(reason).into());
    }
    warn!("event {} goes to the failed events: {reason}", event.id());
    batch.fail(event, reason);
    position.failed.push(position.events);
    Ok(())
}

/// Makes the error of a batch that cannot be applied.
pub(super) fn not_applied(batch: &Batch<'_>, error: BoxError) -> BoxError {
    dbscript::Error::failed(format!("cannot apply the batch ({})", batch.place())).caused_by(error).into()
}
