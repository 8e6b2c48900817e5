//! Programs that keep their position in a local file.

use dbscript::{BoxError, Config, Context, Job, Switches};
use log::{info, warn};

use super::keys::LOCAL_TRACKING_FILE;
use super::{REGISTER, UNREGISTER, register, report, unregister};
use crate::consume::position::local::LocalConsumer;
use crate::consume::position::local_handler::LocalHandler;
use crate::consume::position::tracking_file::TrackingFile;
use crate::consume::run::consumer_loop::ConsumerLoop;
use crate::consume::run::subscription::Subscription;
use crate::schema;

pub(super) const REWIND: (&str, &str) = ("rewind", "Move the queue's position to the file's tick and exit");
pub(super) const RESET: (&str, &str) = ("reset", "Forget the file's tick and exit");

/// Makes the job of a program: one of its switches, or its loop.
pub(super) fn job<H: LocalHandler + 'static>(
    db: &'static str,
    subscription: Subscription,
    (config, switches): (&Config, &Switches),
    handler: H,
) -> Result<Job, BoxError> {
    subscription.settings().require_no_subconsumer()?;
    let path = config.file(&LOCAL_TRACKING_FILE)?.ok_or_else(|| config.invalid(&LOCAL_TRACKING_FILE, ""))?;
    let place = Place { db, subscription, file: TrackingFile::new(path.clone()) };
    type Change = fn(&Place, &mut Context) -> Result<(), BoxError>;
    let changes: [(&str, Change); 4] = [
        (REWIND.0, Place::rewind),
        (RESET.0, Place::reset),
        (REGISTER.0, Place::register),
        (UNREGISTER.0, Place::unregister),
    ];
    if let Some((_, change)) = changes.into_iter().find(|(switch, _)| switches.has(switch)) {
        return Ok(Job::once(move |cx| {
            schema::check_connections(cx, db);
            change(&place, cx)
        }));
    }
    Ok(Job::looping(ConsumerLoop::new(db, place.subscription, LocalConsumer::new(path, handler))))
}

/// The two records of the consumer's position.
struct Place {
    db: &'static str,
    subscription: Subscription,
    file: TrackingFile,
}

impl Place {
    fn rewind(&self, cx: &mut Context) -> Result<(), BoxError> {
        let settings = self.subscription.settings();
        let Some(at) = self.file.read()? else {
            warn!("the file has no tick of consumer `{}`, nothing to rewind to", settings.consumer);
            return Ok(());
        };
        let moved = self.subscription.move_to(&mut *cx.database(self.db)?, &at);
        moved.map_err(|error| cx.locate(self.db, error))?;
        info!("consumer `{}` on queue `{}`: rewound to tick {}", settings.consumer, settings.queue, at.tick);
        Ok(())
    }

    fn reset(&self, _cx: &mut Context) -> Result<(), BoxError> {
        let consumer = &self.subscription.settings().consumer;
        let what = if self.file.remove()? { "forgot the file's tick" } else { "there is no file" };
        info!("consumer `{consumer}`: {what}");
        Ok(())
    }

    /// As the program itself: where the file is.
    fn register(&self, cx: &mut Context) -> Result<(), BoxError> {
        let mut db = cx.database(self.db)?;
        let is_registered =
            self.subscription.is_registered(&mut *db).map_err(|error| cx.locate(self.db, error))?;
        match self.file.read()? {
            Some(at) if !is_registered => {
                let moved = self.subscription.move_to(&mut *db, &at);
                moved.map_err(|error| cx.locate(self.db, error))?;
                report(&self.subscription, &format!("registered at the file's tick, {}", at.tick));
                Ok(())
            }
            _ => {
                drop(db);
                register(self.db, &self.subscription, cx).map(|_| ())
            }
        }
    }

    fn unregister(&self, cx: &mut Context) -> Result<(), BoxError> {
        unregister(self.db, &self.subscription, cx)?;
        self.reset(cx)
    }
}
