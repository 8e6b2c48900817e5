//! Whether a batch was applied, by its number and its ticks.
//!
//! A batch is recognized by its number, its two ticks and the time of the latter. Any other batch is applied if it
//! begins at or behind the end of the last recorded one, or if it was overtaken by other subconsumers' batches.
//! Otherwise the position is lost (DESIGN.md, D26).

use log::warn;
use pgq::{Checkpoint, Events};
use postgres::GenericClient;

use crate::error::Error;
use crate::tracker::{BatchStatus, Tracker};

impl Tracker {
    /// Returns whether a batch was applied, by its number and its ticks. With a subconsumer it takes
    /// [`lock_batch`](Tracker::lock_batch).
    ///
    /// # Errors
    ///
    /// When the batch is not the one that is recorded and overlaps those that were applied, so that the source was
    /// restored, has failed over or was moved back ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)); when
    /// another subconsumer has taken the batch over; and as [`checkpoint`](Tracker::checkpoint).
    pub fn is_applied(
        &self,
        client: &mut impl GenericClient,
        events: &mut Events<'_>,
    ) -> Result<bool, Error> {
        let batch = events.info().clone();
        self.lock_batch(client, batch.id)?;
        let status = self.batch_status(client, &batch)?;
        if status.is_done {
            if !status.has_ticks {
                // The number alone is accepted once.
                self.set_applied(client, &batch)?;
            }
            return Ok(true);
        }
        if self.has_subconsumer() {
            // A record of an earlier life of the queue may have the number of a batch that is open now.
            let own = match status.own_end {
                Some(end) if !has(events, &end)? => None,
                _ => status.own,
            };
            require_open(events, own)?;
        }
        match status.last {
            Some(last) if is_behind(self, events, &status, &last)? => {
                Err(Error::lost_batches(self.consumer(), &batch, &last))
            }
            Some(last) => require_no_gap(self, client, events, &last).map(|()| false),
            None => Ok(false),
        }
    }
}

/// A consumer alone has its batches one after the other, unless it was moved on or the target was restored. Of
/// subconsumers, one that has the batch in between may be slower, or be unregistered, which returns the events one by
/// one.
fn require_no_gap(
    tracker: &Tracker,
    dst: &mut impl GenericClient,
    events: &mut Events<'_>,
    last: &Checkpoint,
) -> Result<(), Error> {
    let batch = events.info().clone();
    let start = Checkpoint::start_of(&batch);
    // A queue that was made anew begins with low numbers.
    if start.tick <= last.tick || last.time.is_none() || start.time <= last.time {
        return Ok(());
    }
    if !tracker.has_subconsumer() {
        return Err(Error::left_out(tracker.consumer(), &batch, last));
    }
    // The record is read once more, since the batch may have been applied and finished meanwhile.
    if !events.is_begun_at(last.tick)? && tracker.batch_status(dst, &batch)?.last == Some(*last) {
        warn!(
            "the target has batches up to {last}, batch {} begins at {start}, and no subconsumer has what is between: \
             unless one was unregistered, the target was restored and lacks these events",
            batch.id
        );
    }
    Ok(())
}

/// As [`is_applied`], by the batch's number alone.
pub(crate) fn is_number_done(
    tracker: &Tracker,
    dst: &mut impl GenericClient,
    events: &mut Events<'_>,
) -> Result<bool, Error> {
    let batch = events.info().id;
    tracker.lock_batch(dst, batch)?;
    let is_done = tracker.is_batch_done(dst, batch)?;
    if !is_done && tracker.has_subconsumer() {
        require_open(events, tracker.last_batch(dst)?)?;
    }
    Ok(is_done)
}

/// Returns whether a batch that is not recorded begins before the end of what was applied, and does not fit into a hole
/// of it.
fn is_behind(
    tracker: &Tracker,
    events: &mut Events<'_>,
    status: &BatchStatus,
    last: &Checkpoint,
) -> Result<bool, Error> {
    let start = Checkpoint::start_of(events.info());
    let Some(time) = last.time.filter(|_| !start.is(last)) else {
        return Ok(false);
    };
    if start.time < Some(time) {
        Ok(status.is_applied || !has(events, last)?)
    } else {
        // Later and of a lower number: of a queue that was made anew. Where one was restored, another subconsumer may
        // have the batch at which it has gone back.
        let is_renumbered = start.tick < last.tick;
        Ok(is_renumbered && tracker.has_subconsumer() && events.has_tick_before(time)?)
    }
}

/// Returns whether the queue has this very tick.
pub(crate) fn has(events: &mut Events<'_>, checkpoint: &Checkpoint) -> Result<bool, Error> {
    let there = events.tick_time(checkpoint.tick)?;
    Ok(there.is_some_and(|time| checkpoint.time.is_none_or(|own| own == time)))
}

/// Fails when a batch of a subconsumer may not be applied, though it is not the last one of any: when somebody else has
/// taken it over, it may have been applied before others; and the record that this one's replaces, of batch `own`, has
/// to stay for as long as somebody else has that batch.
fn require_open(events: &mut Events<'_>, own: Option<i64>) -> Result<(), Error> {
    if !events.is_ours()? {
        return Err(Error::refused("the batch was taken over by another subconsumer".to_owned()));
    }
    match own.filter(|own| *own != events.info().id) {
        Some(last) if events.is_open(last)? => Err(Error::refused(format!(
            "batch {last}, which was applied here, was taken over by another subconsumer, which has not finished it"
        ))),
        _ => Ok(()),
    }
}
