//! Delivery with the position in a local file.

use std::path::PathBuf;

use dbscript::Context;
use log::{info, warn};

use crate::tracking_file::TrackingFile;
use crate::{Batch, BatchInfo, BoxError, Delivered, Delivery, Error, LocalHandler};

/// Delivers to a [`LocalHandler`] and keeps the tick that it has come to in a file, for consumers whose work ends up
/// beside that file: an index, a cache, a folder. Skytools: `pgq.LocalConsumer`.
///
/// The file is replaced when a batch is handled, before the batch is finished on the queue. A batch that starts at the
/// file's tick is handled; one that ends there was handled before and is only finished; anything else is an error. What
/// was handled when the process died before it had written the file is handled again.
///
/// Where file and queue differ at the start, the file is right: the consumer is moved to its tick, with a warning, or
/// registered there. So whoever restores the folder from a backup has the missing events delivered again, as long as the
/// queue has them; a tick that the queue does not know is an error. A missing file is written with the queue's tick.
///
/// While the consumer runs it is not moved: when the queue goes back, as after a failover to a standby that lags, each
/// round fails until an operator decides by `--rewind` or `--reset`, or by a new start. Who starts the program anew in
/// such a case, and the queue has given the file's tick to other events meanwhile, goes on behind those.
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
        if self.is_done(&info)? {
            info!("batch {} was handled before, finishing it", info.id);
            return Ok(());
        }
        self.handler.process_local_batch(batch.events())?;
        Ok(self.file.write(info.tick)?)
    }

    /// Tells whether a batch was handled before.
    fn is_done(&self, batch: &BatchInfo) -> Result<bool, Error> {
        match self.file.read()? {
            Some(tick) if tick == batch.tick => Ok(true),
            Some(tick) if tick != batch.prev_tick => Err(lost_position(batch, tick)),
            _ => Ok(false),
        }
    }
}

impl<H: LocalHandler> Delivery for LocalConsumer<H> {
    fn startup(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        let folder = self.file.folder();
        if !folder.is_dir() {
            return Err(Error::usage(format!("folder `{}` does not exist", folder.display())).into());
        }
        Ok(())
    }

    fn is_serial(&self) -> bool {
        true
    }

    fn retries(&self) -> bool {
        false
    }

    fn resumes(&self) -> bool {
        true
    }

    /// Two processes may have files of their own, on two machines.
    fn holds_lock(&self) -> bool {
        true
    }

    fn resume(&mut self, at: Option<i64>) -> Result<Option<i64>, BoxError> {
        let tick = self.file.read()?;
        match (at, tick) {
            (Some(at), None) => {
                info!("the file has no tick, writing the queue's: {at}");
                self.file.write(at)?;
            }
            (None, Some(tick)) => info!("going on at the file's tick: {tick}"),
            (Some(at), Some(tick)) if at != tick => {
                let kind = if tick > at { "newer" } else { "older" };
                warn!("the file is {kind} than the queue: moving the consumer from tick {at} to tick {tick}");
            }
            _ => {}
        }
        Ok(tick.filter(|tick| Some(*tick) != at))
    }

    fn deliver(&mut self, _cx: &mut Context, mut batch: Batch<'_>) -> Result<Delivered, BoxError> {
        self.handle(&mut batch).map_err(|error| batch.locate(error))?;
        let events = batch.count();
        batch.finish()?;
        Ok(Delivered { events, ..Delivered::default() })
    }
}

fn lost_position(batch: &BatchInfo, tick: i64) -> Error {
    Error::failed(format!(
        "lost position: batch {} is ticks {}..{}, the file is at tick {tick}; --rewind moves the queue there, --reset \
         forgets the file's tick",
        batch.id, batch.prev_tick, batch.tick
    ))
}
