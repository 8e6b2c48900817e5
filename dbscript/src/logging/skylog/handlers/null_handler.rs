//! The handler that drops messages.

use crate::logging::entry::Entry;
use crate::logging::handlers::Handler;

/// Drops messages.
pub(crate) struct NullHandler;

impl Handler for NullHandler {
    fn handle(&self, _: &Entry<'_>, _: &str) {}
}
