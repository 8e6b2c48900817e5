//! The handler that writes to a log database. Skytools: `skylog.LogDBHandler`.

use log::Level;

use super::tally::SharedTally;
use crate::error::Error;
use crate::logging::backlog::Backlog;
use crate::logging::entry::Entry;
use crate::logging::handlers::Handler;
use crate::logging::identity::Identity;
use crate::logging::level;
use crate::logging::skylog::outbox::Outbox;
use crate::logging::skylog::outbox::log_database::{Line, LogDatabase};
use crate::logging::skylog::outbox::udp::cut;
use crate::text::printable::one_line;

/// The longest line in bytes. Longer lines are cut, which limits the memory of the outbox.
const MAX_LINE: usize = 64 * 1024;

/// Calls `log.add(level, job_name, message)` with the first line of each entry of level INFO or above.
///
/// Statistics lines are summed and sent once a minute.
pub(crate) struct LogDb {
    outbox: Outbox<Line>,
    tally: SharedTally,
}

impl LogDb {
    /// Creates a handler, which connects with the first message.
    ///
    /// # Errors
    ///
    /// A usage error if the connection string is invalid.
    pub(crate) fn new(conninfo: &str, identity: Identity) -> Result<LogDb, Error> {
        let tally = SharedTally::default();
        let database = LogDatabase::new(conninfo, identity.job_name, tally.clone())?;
        Ok(LogDb { outbox: Outbox::new("log_db", database), tally })
    }
}

impl Handler for LogDb {
    fn handle(&self, entry: &Entry<'_>, text: &str) {
        if entry.level > Level::Info {
            return;
        }
        if entry.level == Level::Info && self.tally.lock().add(text) {
            self.outbox.wake();
        } else {
            self.outbox.push(Line { level: level::name(entry.level), text: first_line(text) });
        }
    }

    fn is_framed(&self) -> bool {
        true
    }

    fn backlog(&self) -> Option<&dyn Backlog> {
        Some(&self.outbox)
    }
}

/// Returns the first line that is not empty, without NUL characters and escaped for terminals.
fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
    cut(&one_line(&line.replace('\0', " ")), MAX_LINE).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::logging::backlog::flush;
    use crate::logging::testing::{entry, identity};

    #[test]
    fn only_the_first_line_is_sent_and_it_is_printable() {
        assert_eq!(first_line("one\ntwo"), "one");
        assert_eq!(first_line("\r\n\nthree\r\nfour"), "three");
        assert_eq!(first_line("a\0b"), "a b");
        assert_eq!(first_line("a\u{1b}[2J\u{2028}"), r"a\u{1b}[2J\u{2028}");
        assert_eq!(first_line(""), "");
        assert_eq!(first_line(&"ü".repeat(MAX_LINE)).len(), MAX_LINE);
    }

    #[test]
    fn an_unreachable_database_blocks_no_caller() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let conninfo = format!("host={} dbname=log", folder.path().display());
        let handler = LogDb::new(&conninfo, identity()).expect("a connection string");
        for number in 0..100_000 {
            let message = format!("message {number}");
            handler.handle(&entry(Level::Info, &message), &message);
            handler.handle(&entry(Level::Info, "{count: 1}"), "{count: 1}");
        }
        flush(&[&handler.outbox]);
        let sums = handler.tally.lock().take();
        assert_eq!(sums, "{count: 100000}");
    }

    #[test]
    fn the_error_of_an_invalid_connection_string_hides_the_string() {
        let error = LogDb::new("host=localhost pasword=secret", identity()).err().expect("invalid");
        assert!(error.kind() == ErrorKind::Usage);
        assert!(!crate::error::describe(&error).contains("secret"), "{error:?}");
    }
}
