//! The thread that inserts pending events.

use std::sync::Arc;

use dbscript::{BoxError, Context, Round, Script, catch_panic};
use log::error;

use super::shared::{Shared, WriteOutcome};
use crate::admin::queue_lookup::require_queue;
use crate::error::{At, Error};
use crate::event::owned_event::OwnedEvent;
use crate::produce::bulk_insert::{BulkInsert, require_right};
use crate::produce::delayed;
use crate::schema;

/// The name of the queue's database in the worker's context and in messages.
pub(super) const DB: &str = "queue database";

/// Inserts batch after batch. Each round is an attempt.
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

    /// Waits for events or for the next attempt. The loop itself never sleeps.
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let Some(batch) = self.shared.next_batch() else {
            cx.control().stop();
            return Ok(Round::Idle);
        };
        let result = catch_panic(|| self.insert(cx, &batch))
            .map_err(|error| own("cannot insert events", error).on_queue(&self.queue));
        // So that the buffer can take the events out without a copy.
        drop(batch);
        match self.shared.attempted(result) {
            WriteOutcome::Failed(error) => return Err(cx.locate(DB, error).into()),
            WriteOutcome::Refused(Some(error)) => error!("{}", dbscript::describe(&error)),
            WriteOutcome::Refused(None) | WriteOutcome::Done => {}
        }
        Ok(Round::Worked)
    }
}

impl Writer {
    fn insert(&self, cx: &mut Context, batch: &[OwnedEvent]) -> Result<(), BoxError> {
        let failed = |error| At::queue(&self.queue).failed("cannot insert events", error);
        let mut connection = cx.database(DB)?;
        let mut transaction = connection.transaction().map_err(failed)?;
        let mut bulk = BulkInsert::start_alone(&mut transaction, &self.queue)?;
        let mut delayed = Vec::new();
        for event in delayed::split(batch.iter().map(OwnedEvent::as_new_event), &mut delayed) {
            bulk.write(&event)?;
        }
        bulk.finish()?;
        delayed::insert_all(&mut transaction, &self.queue, delayed)?;
        transaction.commit().map_err(failed)?;
        Ok(())
    }
}

/// When the thread ends for any reason, senders and flushes stop waiting for it.
impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// Converts any error into one of this crate.
pub(super) fn own(what: &str, error: BoxError) -> Error {
    Error::of_part(what, error)
}
