//! Log entries, as handlers receive them.

use chrono::{DateTime, Local};
use log::Level;

/// A message with the fields that a format may show.
pub(super) struct Entry<'a> {
    pub(super) created: DateTime<Local>,
    pub(super) level: Level,
    /// The source of the message: a module path of Rust code.
    pub(super) name: &'a str,
    pub(super) message: &'a str,
}
