//! Looks at the database whenever it is woken.

use std::sync::mpsc::Sender;
use std::time::Duration;

use dbscript::{BoxError, Context, Round, Script, Worker, WorkerHandle, describe};
use pgq::status::Status;

use super::run::Event;

/// It sleeps until it is woken, so this is only an end.
const SLEEP: Duration = Duration::from_secs(24 * 60 * 60);
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Reads the status.
pub(crate) type Look = Box<dyn Fn(&mut Context) -> Result<Status, BoxError> + Send>;

/// Looks in every round; what fails is told like what is found.
struct Reader {
    look: Look,
    events: Sender<Event>,
}

/// Starts looking, on the worker's thread.
pub(crate) fn start(worker: Worker, look: Look, events: Sender<Event>) -> Result<WorkerHandle, BoxError> {
    worker.loop_delay(SLEEP).exception_sleep(AFTER_PANIC).spawn(Reader { look, events })
}

impl Script for Reader {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let look = (self.look)(cx);
        if look.is_err() {
            cx.databases().reset();
        }
        let look = look.map(Into::into).map_err(|error| describe(&*error));
        // Nobody waits any more when the display has ended.
        let _ = self.events.send(Event::Look(look));
        Ok(Round::Idle)
    }
}
