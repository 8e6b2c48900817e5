//! The check that a batch was applied, by its number and its ticks.
//!
//! A batch is recognized by its number, its two ticks and the time of its last tick. Any other batch is applied if it
//! begins at or after the end of the last recorded batch, or if batches of other subconsumers overtook it. Otherwise the
//! position is lost (DESIGN.md, D26).

use log::warn;
use pgq::{Checkpoint, Events};
use postgres::GenericClient;

use crate::error::Error;
use crate::tracker::{BatchStatus, Tracker};

impl Tracker {
    /// Returns true if a batch was applied, by its number and its ticks. With a subconsumer, takes
    /// [`lock_batch`](Tracker::lock_batch).
    ///
    /// # Errors
    ///
    /// When the batch is not recorded and overlaps applied batches, since the source was restored, has failed over or was
    /// moved back ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)); when another subconsumer has taken the
    /// batch over; and as [`checkpoint`](Tracker::checkpoint).
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
                // A record without ticks is accepted once and gets the batch's ticks.
                self.set_applied(client, &batch)?;
            }
            return Ok(true);
        }
        if self.has_subconsumer() {
            // The record may be of an earlier queue of this name, and its number that of a batch that is open now.
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

/// Fails when a consumer without subconsumers has left out batches: it was moved forward, or the target was restored. With
/// subconsumers, logs a warning unless one of them has the batch in between: it may be slower, or was unregistered, which
/// returns its events one by one.
fn require_no_gap(
    tracker: &Tracker,
    dst: &mut impl GenericClient,
    events: &mut Events<'_>,
    last: &Checkpoint,
) -> Result<(), Error> {
    let batch = events.info().clone();
    let start = Checkpoint::start_of(&batch);
    // A queue that was created again begins with low numbers.
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

/// Returns true if a batch was applied, by its number alone.
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

/// Returns true if a batch that is not recorded begins before the end of the applied batches, and fits into no hole
/// between them.
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
        // A later batch of a lower number is of a queue that was created again. In a restored queue, another subconsumer may
        // have the batch at which the numbers went back.
        let is_renumbered = start.tick < last.tick;
        Ok(is_renumbered && tracker.has_subconsumer() && events.has_tick_before(time)?)
    }
}

/// Returns true if the queue has this very tick, of the same number and time.
pub(crate) fn has(events: &mut Events<'_>, checkpoint: &Checkpoint) -> Result<bool, Error> {
    let there = events.tick_time(checkpoint.tick)?;
    Ok(there.is_some_and(|time| checkpoint.time.is_none_or(|own| own == time)))
}

/// Fails in two cases in which a batch of a subconsumer must not be applied although no subconsumer's record contains it.
/// Another subconsumer has taken the batch over, and may have applied it before other batches. Or another subconsumer has
/// batch `own`, whose record would be replaced and must stay until that batch is finished.
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
