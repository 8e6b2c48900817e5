//! One message on its way to the handlers.

use chrono::{DateTime, Local};
use log::Level;

/// A message with all that a format may show of it.
pub(super) struct Entry<'a> {
    pub(super) created: DateTime<Local>,
    pub(super) level: Level,
    /// Who logs: the module path of Rust code.
    pub(super) name: &'a str,
    pub(super) message: &'a str,
}
