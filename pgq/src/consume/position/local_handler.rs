//! The trait of a consumer with its position in a file.

use crate::consume::outcome::Outcome;
use crate::consume::read::events::Events;
use crate::event::stored_event::Event;
use dbscript::BoxError;

/// Handles the events of a [`LocalConsumer`](crate::LocalConsumer). Implement one of the two methods. Skytools:
/// `process_local_batch` of `LocalConsumer`.
///
/// Events cannot be tagged for retry: a batch that is skipped after a crash would have to tag them, too.
pub trait LocalHandler {
    /// Handles a batch. By default calls [`process_local_event`](LocalHandler::process_local_event) for each event.
    ///
    /// # Errors
    ///
    /// After any error the batch is delivered again, as a whole.
    fn process_local_batch(&mut self, events: &mut Events<'_>) -> Result<(), BoxError> {
        while let Some(event) = events.next_event()? {
            let span = events.span().event(&event);
            let result = span.call(|| self.process_local_event(&event)).map(|()| Outcome::Done);
            span.ended(&result);
            result?;
        }
        Ok(())
    }

    /// Handles one event.
    ///
    /// # Errors
    ///
    /// After any error the batch is delivered again, as a whole.
    fn process_local_event(&mut self, _event: &Event) -> Result<(), BoxError> {
        Err("the handler implements neither `process_local_batch` nor `process_local_event`".into())
    }
}
