//! Delivery that tracks batch ids, and what it shares with delivery that tracks ticks.

use dbscript::Context;
use log::{info, warn};
use pgq::consume::ConsumerKind;
use pgq::{Batch, BatchInfo, BoxError, Delivered, Delivery, Events, Settings};
use postgres::Transaction;

use crate::batches;
use crate::error::Error;
use crate::handler::RemoteHandler;
use crate::schema;
use crate::tracker::Tracker;

/// Applies batches in another database and records them there. Skytools: `pgq.RemoteConsumer`.
///
/// One batch is one transaction on the target. A batch is recognized by its id and its ticks with their times. A batch
/// that is not recorded and overlaps batches which are, because the source was restored, has failed over or was moved
/// back, is an error ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)), and nothing is applied, until
/// somebody moves the consumer or [forgets](Tracker::forget_batches) the record. Batches that are left out, because the
/// consumer was moved on or the target was restored, are such an error, too; with subconsumers they are a warning,
/// since one that is unregistered returns its batch event by event.
///
/// The record goes by the consumer's name alone, so each consumer of a target needs a name of its own, also when their
/// sources are different.
pub struct RemoteConsumer<H>(Target<H>);

impl<H: RemoteHandler> RemoteConsumer<H> {
    /// Makes the delivery of a consumer; `dst` is the name of the target database in the loop's [`Context`].
    pub fn new(consumer: &str, dst: &str, handler: H) -> RemoteConsumer<H> {
        RemoteConsumer(Target::new(consumer, dst, handler))
    }

    /// Sets the name of this process among several that share the consumer's position. Not needed:
    /// [`Settings::subconsumer`] is taken; another name is a usage error. A batch that one of them takes over from
    /// another is applied once, too.
    pub fn subconsumer(mut self, name: &str) -> RemoteConsumer<H> {
        self.0.tracker = self.0.tracker.subconsumer(name);
        self
    }
}

impl<H: RemoteHandler> Delivery for RemoteConsumer<H> {
    fn kind(&self) -> ConsumerKind {
        ConsumerKind::Remote
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), BoxError> {
        Ok(self.0.tracker.configure(settings)?)
    }

    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.0.check(cx)
    }

    /// The batches of an earlier registration mean nothing any more; those of other subconsumers do.
    fn forget(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        if self.0.tracker.has_subconsumer() || self.0.by_number {
            return Ok(());
        }
        let forgotten = self.0.tracker.forget_batches(&mut *cx.database(&self.0.dst)?);
        Ok(forgotten.map(|_| ()).map_err(|error| cx.locate(&self.0.dst, error))?)
    }

    fn deliver(&mut self, cx: &mut Context, batch: Batch<'_>) -> Result<Delivered, BoxError> {
        self.0.refresh(cx)?;
        let record = ByBatch { by_number: self.0.by_number };
        self.0.deliver(cx, batch, &record)
    }
}

/// How a target remembers what it has.
pub(crate) trait Record {
    /// Returns whether a batch was applied already; may complete what is recorded of it.
    fn is_done(
        &self,
        tracker: &Tracker,
        dst: &mut Transaction<'_>,
        events: &mut Events<'_>,
    ) -> Result<bool, Error>;

    /// Records a batch as applied.
    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error>;
}

/// Records the batch, with its ticks unless the target's schema keeps numbers only.
struct ByBatch {
    by_number: bool,
}

impl Record for ByBatch {
    fn is_done(
        &self,
        tracker: &Tracker,
        dst: &mut Transaction<'_>,
        events: &mut Events<'_>,
    ) -> Result<bool, Error> {
        match self.by_number {
            false => tracker.is_applied(dst, events),
            true => batches::is_number_done(tracker, dst, events),
        }
    }

    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error> {
        match self.by_number {
            false => tracker.set_applied(dst, batch),
            true => tracker.set_batch_done(dst, batch.id).map(|_| ()),
        }
    }
}

/// A target database, its record, and the handler that writes to it.
pub(crate) struct Target<H> {
    pub(crate) tracker: Tracker,
    pub(crate) dst: String,
    /// Whether the target's schema keeps numbers only.
    pub(crate) by_number: bool,
    handler: H,
}

impl<H: RemoteHandler> Target<H> {
    pub(crate) fn new(consumer: &str, dst: &str, handler: H) -> Target<H> {
        Target { tracker: Tracker::new(consumer), dst: dst.to_owned(), by_number: false, handler }
    }

    /// Looks whether the target can be written to.
    pub(crate) fn check(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        schema::check_connections(cx, &self.dst);
        let mut dst = cx.database(&self.dst)?;
        let known = schema::require(&mut *dst).and_then(|()| match self.tracker.has_subconsumer() {
            true => schema::require_subconsumers(&mut *dst),
            false => Ok(()),
        });
        let checked = known.and_then(|()| schema::keeps_times(&mut *dst)).map_err(BoxError::from);
        let keeps_times = checked
            .and_then(|keeps_times| self.handler.startup(&mut dst).map(|()| keeps_times))
            .map_err(|error| cx.locate(&self.dst, error))?;
        self.by_number = !keeps_times;
        if self.by_number {
            warn!(
                "schema `pgq_ext` of {} records numbers alone, so a source that was restored or has failed over is not \
                 noticed; `pgqadm CONFIG.ini install`, run by the schema's owner, brings it up to date",
                cx.databases().label(&self.dst)
            );
        }
        Ok(())
    }

    /// Looks again at a target whose schema keeps numbers only, since it may be brought up to date meanwhile.
    pub(crate) fn refresh(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        if self.by_number {
            let keeps_times = schema::keeps_times(&mut *cx.database(&self.dst)?);
            self.by_number = !keeps_times.map_err(|error| cx.locate(&self.dst, error))?;
        }
        Ok(())
    }

    /// Applies a batch, unless that was done before, and finishes it.
    pub(crate) fn deliver(
        &mut self,
        cx: &mut Context,
        mut batch: Batch<'_>,
        record: &impl Record,
    ) -> Result<Delivered, BoxError> {
        let events = self.apply(cx, &mut batch, record).map_err(|error| {
            let what = format!("cannot apply the batch ({})", batch.place());
            dbscript::Error::failed(what).caused_by(self.locate(cx, error))
        })?;
        // The target is committed. If the rest fails, the batch comes again and is skipped.
        batch.finish_applied()?;
        Ok(Delivered::all_done(events))
    }

    fn apply(
        &mut self,
        cx: &mut Context,
        batch: &mut Batch<'_>,
        record: &impl Record,
    ) -> Result<u64, BoxError> {
        let mut dst = cx.database(&self.dst)?;
        let failed = |what, error| Error::failed(what, error);
        let mut transaction =
            dst.transaction().map_err(|error| failed("cannot start a transaction", error))?;
        self.tracker.lock(&mut transaction)?;
        let info = batch.info().clone();
        if record.is_done(&self.tracker, &mut transaction, batch.events())? {
            info!("batch {} was applied before, finishing it", info.id);
            transaction.commit().map_err(|error| failed("cannot commit the record", error))?;
            return Ok(0);
        }
        self.handler.process_remote_batch(batch.events(), &mut transaction)?;
        record.set_done(&self.tracker, &mut transaction, &info)?;
        transaction.commit().map_err(|error| failed("cannot commit the batch", error))?;
        Ok(batch.count())
    }

    /// Names the target in an error, which may be the source's as well.
    fn locate(&self, cx: &mut Context, error: BoxError) -> BoxError {
        dbscript::Error::failed(format!("on the way to {}", cx.databases().label(&self.dst)))
            .caused_by(error)
            .into()
    }
}
