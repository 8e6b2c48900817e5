//! Delivery with the position in a local file.

use std::path::PathBuf;

use dbscript::Context;
use log::{info, warn};

use crate::consume::batch::Batch;
use crate::consume::delivered::Delivered;
use crate::consume::position::local_handler::LocalHandler;
use crate::consume::position::tracking_file::TrackingFile;
use crate::consume::run::delivery::{ConsumerKind, Delivery};
use crate::error::Error;
use crate::event::batch_info::BatchInfo;
use crate::event::checkpoint::{Checkpoint, Place};
use dbscript::BoxError;

/// Delivers to a [`LocalHandler`] and keeps the tick that it has come to in a file, for consumers whose work ends up
/// beside that file: an index, a cache, a folder. Skytools: `pgq.LocalConsumer`.
///
/// The file is replaced when a batch is handled, before the batch is finished on the queue. A batch that starts at the
/// file's tick is handled; one that ends there was handled before and is only finished; anything else is an error. What
/// was handled when the process died before it had written the file is handled again.
///
/// The file holds the tick's number, as python-pgq writes it. A second file beside it, with the ending `.time`, holds
/// the time at which that tick was made; back up both. A tick of the queue with the file's number and another time is
/// not the file's tick: the queue was restored, has failed over or was made anew, and has given the number to other
/// events. That is an error, also at each new start, until an operator decides with `--reset`. A number whose time is
/// not recorded is taken as it is once, and gets its time, unless the second file has newer ticks: then the first one
/// was restored alone, and the queue has to have one of these.
///
/// Where file and queue differ at the start, the file is right: the consumer is moved to its tick, with a warning, or
/// registered there. So whoever restores the folder from a backup has the missing events delivered again, as long as
/// the queue has them; a tick that the queue does not have is an error. A missing file is written with the queue's
/// tick.
///
/// While the consumer runs it is not moved: when the queue goes back, as after a failover to a standby that lags, each
/// round fails until an operator decides by `--rewind` or `--reset`, or by a new start.
///
/// Events are not tagged for retry, and there are no subconsumers. A second process of the same name stands by, on this
/// machine or on another one, where it goes on from its own file.
pub struct LocalConsumer<H> {
    file: TrackingFile,
    handler: H,
}

impl<H: LocalHandler> LocalConsumer<H> {
    /// Makes the delivery of a consumer. The file belongs to this consumer alone; its folder has to be there.
    pub fn new(tracking_file: impl Into<PathBuf>, handler: H) -> LocalConsumer<H> {
        LocalConsumer { file: TrackingFile::new(tracking_file.into()), handler }
    }

    /// Handles a batch, unless that was done before, and writes the file.
    fn handle(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        let info = batch.info().clone();
        self.require_proof(batch)?;
        if self.is_done(&info)? {
            info!("batch {} was handled before, finishing it", info.id);
            return Ok(());
        }
        self.handler.process_local_batch(batch.events())?;
        Ok(self.file.write(&Checkpoint::end_of(&info))?)
    }

    /// Fails when the file's number was restored without its time, unless the queue has a newer tick of the second
    /// file.
    fn require_proof(&self, batch: &mut Batch<'_>) -> Result<(), Error> {
        let newer = self.file.newer()?;
        for tick in &newer {
            if batch.events().tick_time(tick.tick)? == tick.time {
                return Ok(());
            }
        }
        if newer.is_empty() { Ok(()) } else { Err(self.file.restored_alone()) }
    }

    /// Returns whether a batch was handled before.
    fn is_done(&self, batch: &BatchInfo) -> Result<bool, Error> {
        let Some(at) = self.file.read()? else { return Ok(false) };
        match Place::of(&at, batch) {
            Place::Start => Ok(false),
            Place::End => self.complete(&at, &Checkpoint::end_of(batch)).map(|()| true),
            Place::Beyond | Place::Elsewhere => Err(lost_position(batch, &at)),
        }
    }
}

impl<H> LocalConsumer<H> {
    /// Adds its time to a number that was recorded without one.
    fn complete(&self, number: &Checkpoint, tick: &Checkpoint) -> Result<(), Error> {
        if number.time.is_some() || tick.time.is_none() {
            return Ok(());
        }
        info!("the file has the number of {tick}, adding its time");
        self.file.write(tick)
    }
}

impl<H: LocalHandler> Delivery for LocalConsumer<H> {
    fn kind(&self) -> ConsumerKind {
        ConsumerKind::Local
    }

    fn startup(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        let folder = self.file.folder();
        if !folder.is_dir() {
            return Err(Error::usage(format!("folder `{}` does not exist", folder.display())).into());
        }
        Ok(())
    }

    fn resume(&mut self, at: Option<Checkpoint>) -> Result<Option<Checkpoint>, BoxError> {
        let file = self.file.read()?;
        let newer = self.file.newer()?;
        if !newer.is_empty() && !at.is_some_and(|at| newer.contains(&at)) {
            return Err(self.file.restored_alone().into());
        }
        match (&at, &file) {
            (Some(at), None) => {
                info!("the file has no tick, writing the queue's: {}", at.tick);
                self.file.write(at)?;
            }
            (None, Some(file)) => info!("going on at the file's tick: {}", file.tick),
            (Some(at), Some(file)) if at.is(file) => self.complete(file, at)?,
            (Some(at), Some(file)) if at.tick != file.tick => {
                let kind = if file.tick > at.tick { "newer" } else { "older" };
                let (from, to) = (at.tick, file.tick);
                warn!("the file is {kind} than the queue: moving the consumer from tick {from} to tick {to}");
            }
            _ => {}
        }
        // Of two ticks with one number the move fails, with both times.
        Ok(file.filter(|file| at.is_none_or(|at| !at.is(file))))
    }

    fn deliver(&mut self, _cx: &mut Context, mut batch: Batch<'_>) -> Result<Delivered, BoxError> {
        self.handle(&mut batch).map_err(|error| batch.locate(error))?;
        let events = batch.count();
        batch.finish()?;
        Ok(Delivered { events, ..Delivered::default() })
    }
}

fn lost_position(batch: &BatchInfo, at: &Checkpoint) -> Error {
    Error::failed(format!(
        "lost position: batch {} is ticks {}..{}, the file is at tick {}; the batch goes from {} to {}, the file has {at}; \
         --rewind moves the queue there if it has that very tick, --reset forgets the file's tick",
        batch.id,
        batch.prev_tick,
        batch.tick,
        at.tick,
        Checkpoint::start_of(batch),
        Checkpoint::end_of(batch)
    ))
}
