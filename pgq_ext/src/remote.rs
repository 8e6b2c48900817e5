//! Delivery that tracks batch ids, and what it shares with delivery that tracks ticks.

use dbscript::Context;
use log::info;
use pgq::{Batch, BatchInfo, BoxError, Delivered, Delivery, Events, Settings};
use postgres::Transaction;

use crate::{Error, RemoteHandler, Tracker, schema};

/// Applies batches in another database and records the id of the last one there. Skytools:
/// `pgq.RemoteConsumer`.
///
/// One batch is one transaction on the target. It knows only whether this very batch was applied;
/// [`SerialConsumer`](crate::SerialConsumer) also notices when batches were left out.
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
    fn configure(&mut self, settings: &Settings) -> Result<(), BoxError> {
        Ok(self.0.tracker.configure(settings)?)
    }

    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.0.check(cx)
    }

    fn retries(&self) -> bool {
        false
    }

    fn deliver(&mut self, cx: &mut Context, batch: Batch<'_>) -> Result<Delivered, BoxError> {
        self.0.deliver(cx, batch, &ByBatch)
    }
}

/// How a target remembers what it has.
pub(crate) trait Record {
    /// Tells whether a batch was applied already.
    fn is_done(
        &self,
        tracker: &Tracker,
        dst: &mut Transaction<'_>,
        events: &mut Events<'_>,
    ) -> Result<bool, Error>;

    /// Records a batch as applied.
    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error>;
}

struct ByBatch;

impl Record for ByBatch {
    fn is_done(
        &self,
        tracker: &Tracker,
        dst: &mut Transaction<'_>,
        events: &mut Events<'_>,
    ) -> Result<bool, Error> {
        let batch = events.info().id;
        tracker.lock_batch(dst, batch)?;
        let is_done = tracker.is_batch_done(dst, batch)?;
        if !is_done && tracker.has_subconsumer() {
            require_open(tracker, dst, events)?;
        }
        Ok(is_done)
    }

    fn set_done(&self, tracker: &Tracker, dst: &mut Transaction<'_>, batch: &BatchInfo) -> Result<(), Error> {
        tracker.set_batch_done(dst, batch.id).map(|_| ())
    }
}

/// Fails when a batch may not be applied, though it is not the last one of any subconsumer: when somebody else has taken
/// it over, it may have been applied before others; and the record that this one's replaces has to stay for as long as
/// somebody else has that batch.
fn require_open(tracker: &Tracker, dst: &mut Transaction<'_>, events: &mut Events<'_>) -> Result<(), Error> {
    if !events.is_ours()? {
        return Err(Error::refused("the batch was taken over by another subconsumer".to_owned()));
    }
    match tracker.last_batch(dst)? {
        Some(last) if events.is_open(last)? => Err(Error::refused(format!(
            "batch {last}, which was applied here, was taken over by another subconsumer, which has not finished it"
        ))),
        _ => Ok(()),
    }
}

/// A target database, its record, and the handler that writes to it.
pub(crate) struct Target<H> {
    pub(crate) tracker: Tracker,
    pub(crate) dst: String,
    handler: H,
}

impl<H: RemoteHandler> Target<H> {
    pub(crate) fn new(consumer: &str, dst: &str, handler: H) -> Target<H> {
        Target { tracker: Tracker::new(consumer), dst: dst.to_owned(), handler }
    }

    /// Looks whether the target can be written to.
    pub(crate) fn check(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let mut dst = cx.database(&self.dst)?;
        let known = schema::require(&mut *dst).and_then(|()| match self.tracker.has_subconsumer() {
            true => schema::require_subconsumers(&mut *dst),
            false => Ok(()),
        });
        let checked = known.map_err(BoxError::from);
        checked
            .and_then(|()| self.handler.startup(&mut dst))
            .map_err(|error| cx.locate(&self.dst, error).into())
    }

    /// Applies a batch, unless that was done before, and finishes it.
    pub(crate) fn deliver(
        &mut self,
        cx: &mut Context,
        mut batch: Batch<'_>,
        record: &impl Record,
    ) -> Result<Delivered, BoxError> {
        let events = self.apply(cx, &mut batch, record).map_err(|error| {
            let what = format!("cannot apply batch {} of queue `{}`", batch.info().id, batch.queue());
            dbscript::Error::failed(what).caused_by(self.locate(cx, error))
        })?;
        // The target is committed. If the rest fails, the batch comes again and is skipped.
        batch.finish_applied()?;
        Ok(Delivered { events, ..Delivered::default() })
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
