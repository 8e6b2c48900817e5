//! The places that messages go to.

pub(crate) mod file_handler;
pub(crate) mod stream_handler;

use super::entry::Entry;
use crate::logging::backlog::Backlog;

/// A place that messages go to. Skytools: a handler of Python's `logging`.
///
/// Handlers never fail and never wait for a receiver: what cannot be delivered is lost.
pub(crate) trait Handler: Send + Sync {
    /// Takes a message; `text` is the entry as the handler's format renders it, without a line end.
    fn handle(&self, entry: &Entry<'_>, text: &str);

    /// Returns whether the text goes into a frame of its own, such as a JSON string, where a line end ends nothing.
    fn is_framed(&self) -> bool {
        false
    }

    /// Returns what is still to be delivered, of a handler that does not deliver at once.
    fn backlog(&self) -> Option<&dyn Backlog> {
        None
    }
}
