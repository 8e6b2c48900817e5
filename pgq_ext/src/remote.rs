//! Delivery that tracks batches, and its common part with delivery that tracks ticks.

use dbscript::Context;
use log::{info, warn};
use pgq::consume::ConsumerKind;
use pgq::{Batch, BatchInfo, BoxError, Delivered, Delivery, Events, Settings};
use postgres::{Client, Transaction};

use crate::batches;
use crate::error::Error;
use crate::handler::RemoteHandler;
use crate::schema;
use crate::tracker::Tracker;

/// Applies batches in another database and records them there. Skytools: `pgq.RemoteConsumer`.
///
/// One batch is one transaction on the target. A batch is recognized by its id and its ticks with their times. A batch
/// that is not recorded but overlaps recorded ones is an error ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)):
/// the source was restored, has failed over or was moved back. Nothing is applied until an operator moves the consumer or
/// [forgets](Tracker::forget_batches) the record. Batches that are left out, because the consumer was moved forward or the
/// target was restored, are the same error. With subconsumers they are a warning, since an unregistered subconsumer returns
/// its batch event by event.
///
/// The consumer's name alone identifies the record, so each consumer of a target needs a name of its own, even if their
/// sources are different.
pub struct RemoteConsumer<H>(Target<H>);

impl<H: RemoteHandler> RemoteConsumer<H> {
    /// Makes the delivery of a consumer; `dst` is the name of the target database in the loop's [`Context`].
    pub fn new(consumer: &str, dst: &str, handler: H) -> RemoteConsumer<H> {
        RemoteConsumer(Target::new(consumer, dst, handler))
    }

    /// Sets the name of this process among several that share the consumer's position. Defaults to
    /// [`Settings::subconsumer`]; another name is a usage error. A batch that one process takes over from another is
    /// applied once, too.
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

    /// Removes the records of the consumer's earlier registration. With a subconsumer they stay, since those of other
    /// subconsumers are still valid.
    fn forget(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        if self.0.tracker.has_subconsumer() || self.0.format == RecordFormat::Numbers {
            return Ok(());
        }
        self.0.forget(cx, |tracker, dst| tracker.forget_batches(dst).map(|_| ()))
    }

    fn deliver(&mut self, cx: &mut Context, batch: Batch<'_>) -> Result<Delivered, BoxError> {
        self.0.deliver(cx, batch, ByBatch)
    }
}

/// The record of applied batches on a target.
pub(crate) trait Record {
    /// Returns whether a batch was applied before. May complete the batch's record.
    fn is_done(
        &self,
        tracker: &Tracker,
        dst: &mut Transaction<'_>,
        events: &mut Events<'_>,
    ) -> Result<bool, Error>;

    /// Records a batch as applied.
    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error>;
}

/// The columns that the record of a target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordFormat {
    /// Numbers of ticks and batches, with the times of ticks.
    Times,
    /// Numbers alone, in a schema of another PgQ or an older release.
    Numbers,
}

impl RecordFormat {
    fn read(client: &mut Client) -> Result<RecordFormat, Error> {
        Ok(if schema::keeps_times(client)? { RecordFormat::Times } else { RecordFormat::Numbers })
    }
}

/// Records the batch, and its ticks if the format has times.
struct ByBatch(RecordFormat);

impl Record for ByBatch {
    fn is_done(
        &self,
        tracker: &Tracker,
        dst: &mut Transaction<'_>,
        events: &mut Events<'_>,
    ) -> Result<bool, Error> {
        match self.0 {
            RecordFormat::Times => tracker.is_applied(dst, events),
            RecordFormat::Numbers => batches::is_number_done(tracker, dst, events),
        }
    }

    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error> {
        match self.0 {
            RecordFormat::Times => tracker.set_applied(dst, batch),
            RecordFormat::Numbers => tracker.set_batch_done(dst, batch.id).map(|_| ()),
        }
    }
}

/// A target database, its record, and the handler that writes to it.
pub(crate) struct Target<H> {
    pub(crate) tracker: Tracker,
    dst: String,
    /// The format of the target's record, read at the start.
    format: RecordFormat,
    handler: H,
}

impl<H: RemoteHandler> Target<H> {
    pub(crate) fn new(consumer: &str, dst: &str, handler: H) -> Target<H> {
        Target { tracker: Tracker::new(consumer), dst: dst.to_owned(), format: RecordFormat::Times, handler }
    }

    /// Checks that the target can be written to, and reads the format of its record.
    pub(crate) fn check(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        schema::check_connections(cx, &self.dst);
        let mut dst = cx.database(&self.dst)?;
        let usable = schema::require(&mut *dst).and_then(|()| match self.tracker.has_subconsumer() {
            true => schema::require_subconsumers(&mut *dst),
            false => Ok(()),
        });
        let format = usable.and_then(|()| RecordFormat::read(&mut dst)).map_err(BoxError::from);
        self.format = format
            .and_then(|format| self.handler.startup(&mut dst).map(|()| format))
            .map_err(|error| cx.locate(&self.dst, error))?;
        if self.format == RecordFormat::Numbers {
            warn!(
                "schema `pgq_ext` of {} records numbers alone, so a source that was restored or has failed over is not \
                 noticed; `pgqadm CONFIG.ini install`, run by the schema's owner, brings it up to date",
                cx.databases().label(&self.dst)
            );
        }
        Ok(())
    }

    /// Reads the format of a record with numbers alone again, since the schema may have been brought up to date.
    fn refresh(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        if self.format == RecordFormat::Numbers {
            let format = RecordFormat::read(&mut *cx.database(&self.dst)?);
            self.format = format.map_err(|error| cx.locate(&self.dst, error))?;
        }
        Ok(())
    }

    /// Removes the record of an earlier registration.
    pub(crate) fn forget(
        &mut self,
        cx: &mut Context,
        remove: impl FnOnce(&Tracker, &mut Client) -> Result<(), Error>,
    ) -> Result<(), BoxError> {
        let forgotten = remove(&self.tracker, &mut *cx.database(&self.dst)?);
        Ok(forgotten.map_err(|error| cx.locate(&self.dst, error))?)
    }

    /// Applies a batch unless it was applied before, and finishes it.
    pub(crate) fn deliver<R: Record>(
        &mut self,
        cx: &mut Context,
        mut batch: Batch<'_>,
        record: fn(RecordFormat) -> R,
    ) -> Result<Delivered, BoxError> {
        self.refresh(cx)?;
        let record = record(self.format);
        let events = self.apply(cx, &mut batch, &record).map_err(|error| {
            let what = format!("cannot apply the batch ({})", batch.place());
            dbscript::Error::failed(what).caused_by(self.locate(cx, error))
        })?;
        // The target is committed. If finishing fails, the batch is redelivered and skipped.
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

    /// Adds the target to an error, which may be one of the source.
    fn locate(&self, cx: &mut Context, error: BoxError) -> BoxError {
        dbscript::Error::failed(format!("on the way to {}", cx.databases().label(&self.dst)))
            .caused_by(error)
            .into()
    }
}
