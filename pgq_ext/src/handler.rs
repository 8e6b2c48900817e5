//! The handler of a consumer that applies events in another database.

use pgq::{BoxError, Event, Events};
use postgres::{Client, Transaction};

/// Applies events in another database. Implement `process_remote_batch` or `process_remote_event`. Skytools:
/// `process_remote_batch` of `RemoteConsumer` and `SerialConsumer`.
///
/// All writes through `dst` are committed together with the record of the batch. Events cannot be tagged for retry: the
/// tag is committed on the source, and a crash between the two commits would duplicate or lose the event.
pub trait RemoteHandler {
    /// Checks the target before the first batch.
    ///
    /// # Errors
    ///
    /// Any error ends the program.
    fn startup(&mut self, _dst: &mut Client) -> Result<(), BoxError> {
        Ok(())
    }

    /// Applies a batch. By default calls [`process_remote_event`](RemoteHandler::process_remote_event) for
    /// each event.
    ///
    /// # Errors
    ///
    /// Any error rolls the batch back on both sides; it is delivered again.
    fn process_remote_batch(
        &mut self,
        events: &mut Events<'_>,
        dst: &mut Transaction<'_>,
    ) -> Result<(), BoxError> {
        while let Some(event) = events.next_event()? {
            self.process_remote_event(&event, dst)?;
        }
        Ok(())
    }

    /// Applies one event.
    ///
    /// # Errors
    ///
    /// Any error rolls the whole batch back.
    fn process_remote_event(&mut self, _event: &Event, _dst: &mut Transaction<'_>) -> Result<(), BoxError> {
        Err("the handler implements neither `process_remote_batch` nor `process_remote_event`".into())
    }
}
