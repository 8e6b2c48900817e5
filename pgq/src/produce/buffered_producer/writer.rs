//! The thread that inserts what is in the buffer.

use std::sync::Arc;

use dbscript::{BoxError, Context, Round, Script, guarded};
use log::error;

use super::shared::{Attempt, Shared};
use crate::admin::queue_lookup::require_queue;
use crate::error::Error;
use crate::event::owned_event::OwnedEvent;
use crate::produce::bulk_insert::{BulkInsert, require_right};
use crate::schema;

/// The name of the queue's database in the worker's context, and in its messages.
pub(super) const DB: &str = "queue database";

/// Inserts batch after batch; a round is an attempt.
pub(super) struct Writer {
    pub(super) queue: String,
    pub(super) shared: Arc<Shared>,
}

impl Script for Writer {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        schema::check_connections(cx, DB);
        let mut connection = cx.database(DB)?;
        require_queue(&mut *connection, &self.queue)?;
        Ok(require_right(&mut *connection, &self.queue)?)
    }

    /// Waits for events, and before a further attempt, in the buffer alone: the loop never sleeps.
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let Some(batch) = self.shared.next_batch() else {
            cx.control().stop();
            return Ok(Round::Idle);
        };
        let result = guarded(|| self.insert(cx, &batch))
            .map_err(|error| own("cannot insert events", error).on_queue(&self.queue));
        // Whoever waits for the batch may then be the only one who has it.
        drop(batch);
        match self.shared.attempted(result) {
            Attempt::Failed(error) => return Err(cx.locate(DB, error).into()),
            Attempt::Refused(Some(error)) => error!("{}", dbscript::describe(&error)),
            Attempt::Refused(None) | Attempt::Done => {}
        }
        Ok(Round::Worked)
    }
}

impl Writer {
    fn insert(&self, cx: &mut Context, batch: &[OwnedEvent]) -> Result<(), BoxError> {
        let failed = |error| Error::failed("cannot insert events").on_queue(&self.queue).caused_by(error);
        let mut connection = cx.database(DB)?;
        let mut transaction = connection.transaction().map_err(failed)?;
        let mut bulk = BulkInsert::start_alone(&mut transaction, &self.queue)?;
        for event in batch {
            bulk.write(&event.as_new_event())?;
        }
        bulk.finish()?;
        transaction.commit().map_err(failed)?;
        Ok(())
    }
}

/// However the thread ends, nobody waits for it any more.
impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// Makes any error one of this crate.
pub(super) fn own(what: &str, error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::failed(what).caused_by(error),
    }
}
