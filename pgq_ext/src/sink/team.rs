//! Delivery of batches into a sink by several subconsumers at once.
//!
//! The sink keeps the [`Ranges`] of the consumer, and a record for each open batch. A subconsumer adds its batch to the
//! ranges and makes its record, both or none and only if the ranges are those that it has read. Then it checks on the source
//! that the batch is still its own. All parts depend on the record. After the batch is finished on the source, it becomes a
//! range that was applied, and the record is removed (DESIGN.md, D138).

use dbscript::Context;
use dbscript::param::boolean;
use log::{info, warn};
use pgq::consume::ConsumerKind;
use pgq::{Batch, BoxError, Delivered, Delivery, Settings};

use super::applier::{Applier, Progress, Work, not_applied};
use super::ranges::RangePlace;
use super::{Position, Ranges, TeamSink, TickRange};
use crate::batches;
use crate::error::Error;

/// How often the ranges may change while a batch is compared with them.
const MAX_ATTEMPTS: u32 = 1_000;
/// The batches after which a subconsumer closes the records that others have left.
const SWEEP_BATCHES: u32 = 100;

/// Applies batches in a [`TeamSink`], each event exactly once, by several subconsumers at once: processes with the consumer's
/// name and a [`subconsumer`](Settings::subconsumer) name each.
///
/// The events of a batch keep their order. Batches that different subconsumers apply have none.
///
/// - A batch that another subconsumer has begun and left is applied from the next event on.
/// - A batch within the applied ranges is only finished, if the queue has the last tick of the range.
/// - A batch that has only some of its ticks in common with applied or open batches is an error
///   ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)), and nothing is applied. So is a batch of a queue that does
///   not have the last recorded tick, and one behind a tick from which on no subconsumer has a batch.
pub struct TeamConsumer<S> {
    applier: Applier<S>,
    /// The batches until records of others are closed.
    until_sweep: u32,
}

/// The result of comparing a batch with the ranges.
enum Verdict {
    Work(Work),
    Lost(String),
    /// The ranges have changed meanwhile.
    Changed,
}

impl<S: TeamSink> TeamConsumer<S> {
    /// Makes the delivery of a subconsumer of this consumer.
    pub fn new(consumer: &str, sink: S) -> TeamConsumer<S> {
        TeamConsumer { applier: Applier::new(consumer, sink), until_sweep: 0 }
    }

    fn sink(&mut self) -> &mut S {
        &mut self.applier.sink
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<Progress, BoxError> {
        self.sweep(batch)?;
        let work = self.work(batch)?;
        self.applier.apply(batch, work)
    }

    /// Compares the ranges with a batch, and makes its record if it is to be applied.
    fn work(&mut self, batch: &mut Batch<'_>) -> Result<Work, BoxError> {
        let mut ranges = self.sink().ranges()?;
        for _ in 0..MAX_ATTEMPTS {
            let verdict = self.compare(batch, &ranges)?;
            let read = match verdict {
                Verdict::Work(work) => return Ok(work),
                Verdict::Changed => self.sink().ranges()?,
                Verdict::Lost(why) => {
                    let read = self.sink().ranges()?;
                    if read == ranges {
                        return Err(self.lost(batch, why));
                    }
                    read
                }
            };
            ranges = read;
        }
        Err(format!("other subconsumers have changed the ranges {MAX_ATTEMPTS} times meanwhile").into())
    }

    fn compare(&mut self, batch: &mut Batch<'_>, ranges: &Ranges) -> Result<Verdict, BoxError> {
        let own = TickRange::of(batch.info());
        let is_next = match ranges.place(&own) {
            RangePlace::Open => return self.resume(batch),
            RangePlace::Completed(range) if batches::has(batch.events(), &range.end)? => {
                warn!("batch {} is within the applied range {range}: not applying it again", batch.info().id);
                return Ok(Verdict::Work(Work::Finish(None)));
            }
            RangePlace::Completed(range) | RangePlace::Overlapping(range) => {
                return Ok(Verdict::Lost(format!("the sink has {range}")));
            }
            RangePlace::Next => true,
            RangePlace::Ahead(last) => {
                let is_between =
                    batches::has(batch.events(), &last)? && batch.events().is_begun_at(last.tick)?;
                if !is_between {
                    return Ok(Verdict::Lost(format!(
                        "the sink has batches up to {last}, and no subconsumer has the batch that begins there: the consumer \
                         was moved on, a subconsumer was unregistered with its batch, or the sink was restored"
                    )));
                }
                true
            }
            RangePlace::Behind(last) => batches::has(batch.events(), &last)?,
        };
        if is_next { self.begin(batch, ranges) } else { Ok(Verdict::Lost(last(ranges))) }
    }

    /// Continues a batch that has a record.
    fn resume(&mut self, batch: &Batch<'_>) -> Result<Verdict, BoxError> {
        let own = TickRange::of(batch.info());
        Ok(match self.sink().select_record(&own)? {
            Some(record) if !record.is_of(batch.info()) => {
                Verdict::Lost(format!("the sink has {record} in the batch's record"))
            }
            Some(record) if record.is_complete => Verdict::Work(Work::Finish(Some(record))),
            Some(record) => Verdict::Work(Work::Apply(record)),
            None => Verdict::Lost("the sink has lost the batch's record".to_owned()),
        })
    }

    /// Makes the record of a batch, which is to be applied if it is still this subconsumer's then.
    fn begin(&mut self, batch: &mut Batch<'_>, ranges: &Ranges) -> Result<Verdict, BoxError> {
        let (own, record) = (TickRange::of(batch.info()), Position::before(batch.info()));
        if !self.sink().open_record(&ranges.with_open(own), &record)? {
            return Ok(Verdict::Changed);
        }
        if batch.events().is_ours()? {
            return Ok(Verdict::Work(Work::Apply(record)));
        }
        // A subconsumer that has the batch now finds the record. If none has it, nobody else would close the record.
        if !batch.events().is_begun_at(own.start.tick)? {
            self.close_left(batch, &own)?;
        }
        Err("the batch is no longer this subconsumer's".into())
    }

    /// Closes records that other subconsumers have left, at the start and now and then.
    fn sweep(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        if self.until_sweep > 0 {
            self.until_sweep -= 1;
            return Ok(());
        }
        let own = TickRange::of(batch.info());
        for open in self.sink().ranges()?.open() {
            if !open.is(&own) && !batch.events().is_begun_at(open.start.tick)? {
                self.close_left(batch, open)?;
            }
        }
        self.until_sweep = SWEEP_BATCHES;
        Ok(())
    }

    /// Closes the record of a batch that no subconsumer has open: it was finished with the whole record, or unregistered
    /// before a part of it was applied.
    fn close_left(&mut self, batch: &mut Batch<'_>, left: &TickRange) -> Result<(), BoxError> {
        match self.sink().select_record(left)? {
            // Closed meanwhile.
            None => Ok(()),
            Some(record) if record.is_complete => {
                info!("the batch of {left} was finished, closing its record");
                self.close(left)
            }
            // After a failover of the source, the batch may be opened once more.
            Some(record) if record.events == 0 && batch.events().is_past(left.end.tick)? => {
                warn!("the batch of {left} was unregistered before it was applied, closing its record");
                let changed = self.sink().ranges()?.with_completed(left);
                // A record that has changed is closed later.
                changed.map_or(Ok(()), |changed| self.sink().close_record(&changed, left).map(|_| ()))
            }
            Some(record) => {
                warn!(
                    "the sink has {record}, and no subconsumer has that batch open: it was unregistered or moved"
                );
                Ok(())
            }
        }
    }

    /// Closes the record of a batch that is applied and finished, unless it is closed already.
    fn close(&mut self, batch: &TickRange) -> Result<(), BoxError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(changed) = self.sink().ranges()?.with_completed(batch) else { return Ok(()) };
            if self.sink().close_record(&changed, batch)? {
                return Ok(());
            }
        }
        Err(format!("other subconsumers have changed the ranges {MAX_ATTEMPTS} times meanwhile").into())
    }

    fn lost(&self, batch: &Batch<'_>, why: String) -> BoxError {
        let (id, range) = (batch.info().id, TickRange::of(batch.info()));
        let why = format!(
            "batch {id} goes from {range}, {why}; when no other batch is open, --reset forgets what the sink has"
        );
        Error::lost(&self.applier.consumer, why).into()
    }

    /// Adds the cause to an error of a batch that another subconsumer has taken over.
    fn explained(&mut self, batch: &mut Batch<'_>, error: BoxError) -> BoxError {
        self.until_sweep = 0;
        let error = match batch.events().is_ours() {
            Ok(false) => {
                let what = "another subconsumer has taken the batch over or finished it";
                dbscript::Error::failed(what).caused_by(error).into()
            }
            _ => error,
        };
        not_applied(batch, error)
    }
}

/// $1 whether the setting is of the transaction alone.
const WAIT_FOR_DISK: &str = "select pg_catalog.set_config('synchronous_commit', 'on', $1::pg_catalog.bool) \
     where pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.=) 'off'::pg_catalog.text";

/// Makes the commit that finishes a batch with failed events wait for the disk, since their record is removed then.
fn keep_failed(batch: &mut Batch<'_>) -> Result<(), BoxError> {
    if batch.failed() == 0 {
        return Ok(());
    }
    match batch.db() {
        Ok(transaction) => transaction.query_typed(WAIT_FOR_DISK, &[boolean(&true)])?,
        // With autocommit.
        Err(_) => batch.client()?.query_typed(WAIT_FOR_DISK, &[boolean(&false)])?,
    };
    Ok(())
}

/// Describes the end of the ranges.
fn last(ranges: &Ranges) -> String {
    let all = ranges.completed().iter().chain(ranges.open());
    let last = all.max_by_key(|range| range.end.tick);
    last.map_or("the sink has nothing".to_owned(), |range| {
        format!("the sink has batches up to {}", range.end)
    })
}

impl<S: TeamSink> Delivery for TeamConsumer<S> {
    fn kind(&self) -> ConsumerKind {
        ConsumerKind::Remote
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), BoxError> {
        if settings.subconsumer.is_none() {
            return Err(dbscript::Error::usage("a subconsumer of a sink needs `subconsumer_name`").into());
        }
        self.applier.require_consumer(settings)
    }

    fn startup(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        self.applier.startup()?;
        self.sink().join()
    }

    /// Removes the ranges and records of the consumer's earlier registration.
    fn forget(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        self.sink().forget()
    }

    fn deliver(&mut self, _cx: &mut Context, mut batch: Batch<'_>) -> Result<Delivered, BoxError> {
        let own = TickRange::of(batch.info());
        let progress = self.apply(&mut batch).map_err(|error| self.explained(&mut batch, error))?;
        keep_failed(&mut batch).map_err(|error| not_applied(&batch, error))?;
        let delivered = progress.finish(batch)?;
        if let Progress::Applied(_, Some(_)) = progress
            && let Err(error) = self.close(&own)
        {
            // It is closed before the next batch, or by another subconsumer.
            warn!("cannot close the record of the batch of {own}: {}", dbscript::describe(&*error));
            self.until_sweep = 0;
        }
        Ok(delivered)
    }
}
