//! The worker that reads the status whenever the display wakes it.

use std::sync::mpsc::Sender;
use std::time::Duration;

use dbscript::{BoxError, Context, Round, Script, Worker, WorkerHandle, describe};
use pgq::status::Status;

use super::run::Event;

/// The display wakes the worker, so this is only an upper limit.
const SLEEP: Duration = Duration::from_secs(24 * 60 * 60);
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Reads the status.
pub(crate) type ReadStatus = Box<dyn Fn(&mut Context) -> Result<Status, BoxError> + Send>;

/// Reads the status in every round, and sends it or the error to the display.
struct StatusReader {
    read: ReadStatus,
    events: Sender<Event>,
}

/// Starts the worker.
pub(crate) fn start(
    worker: Worker,
    read: ReadStatus,
    events: Sender<Event>,
) -> Result<WorkerHandle, BoxError> {
    worker.loop_delay(SLEEP).exception_sleep(AFTER_PANIC).spawn(StatusReader { read, events })
}

impl Script for StatusReader {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let status = (self.read)(cx);
        if status.is_err() {
            cx.databases().reset();
        }
        let status = status.map(Into::into).map_err(|error| describe(&*error));
        // The receiver is gone when the display has ended.
        let _ = self.events.send(Event::Status(status));
        Ok(Round::Idle)
    }
}
