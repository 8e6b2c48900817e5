//! One message on its way to the handlers.

use chrono::{DateTime, Local};
use log::Level;

use super::outbox::Backlog;

/// A message with all that a format may show of it.
pub(super) struct Entry<'a> {
    pub(super) created: DateTime<Local>,
    pub(super) level: Level,
    /// Who logs: the module path of Rust code.
    pub(super) name: &'a str,
    pub(super) message: &'a str,
}

/// Who the process is, for formats and receivers that serve several.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) job_name: String,
    pub(super) service_name: String,
    pub(super) hostname: String,
    /// The host's address, or `0.0.0.0` where its name does not resolve.
    pub(super) hostaddr: String,
}

/// A place that messages go to. Skytools: a handler of Python's `logging`.
///
/// Handlers never fail and never wait for a receiver: what cannot be delivered is lost.
pub(super) trait Handler: Send + Sync {
    /// Takes a message; `text` is the entry as the handler's format renders it, without a line end.
    fn handle(&self, entry: &Entry<'_>, text: &str);

    /// Returns what is still to be delivered, of a handler that does not deliver at once.
    fn backlog(&self) -> Option<&dyn Backlog> {
        None
    }
}
