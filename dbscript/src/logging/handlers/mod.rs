//! Handlers: the destinations of messages.

pub(crate) mod file_handler;
pub(crate) mod stream_handler;

use super::entry::Entry;
use crate::logging::backlog::Backlog;

/// A destination of messages. Skytools: a handler of Python's `logging`.
///
/// Handlers never fail and never wait for a receiver: a message that cannot be delivered is lost.
pub(crate) trait Handler: Send + Sync {
    /// Handles a message; `text` is the rendered entry without a line end.
    fn handle(&self, entry: &Entry<'_>, text: &str);

    /// Returns true if the text is framed, for example as a JSON string, so that line ends need no escape.
    fn is_framed(&self) -> bool {
        false
    }

    /// Returns the backlog of a handler that delivers asynchronously.
    fn backlog(&self) -> Option<&dyn Backlog> {
        None
    }
}
