//! A place where messages are dropped.

use super::entry::{Entry, Handler};

/// Drops messages.
pub(super) struct NullHandler;

impl Handler for NullHandler {
    fn handle(&self, _: &Entry<'_>, _: &str) {}
}
