//! The handlers of standard error and standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use log::Level;

use super::Handler;
use crate::logging::entry::Entry;

/// Writes lines to a stream. A line that cannot be written is lost, since a closed pipe must not end the program.
pub(crate) enum StreamHandler {
    Stdout,
    Stderr,
    /// Standard error that is connected to systemd's journal, which reads a priority at the start of each line.
    Journal,
}

impl StreamHandler {
    /// Creates a handler of standard error.
    pub(crate) fn stderr() -> StreamHandler {
        if is_journal() { StreamHandler::Journal } else { StreamHandler::Stderr }
    }
}

impl Handler for StreamHandler {
    fn handle(&self, entry: &Entry<'_>, text: &str) {
        // One write per message, so that lines of processes which share the stream stay whole.
        let _ = match self {
            StreamHandler::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout.flush())
            }
            StreamHandler::Stderr => io::stderr().write_all(format!("{text}\n").as_bytes()),
            StreamHandler::Journal => io::stderr().write_all(prefixed(entry.level, text).as_bytes()),
        };
    }
}

/// Returns true if standard error is the stream that `JOURNAL_STREAM` names. Child processes inherit the variable
/// even if their standard error is another stream.
fn is_journal() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|named| stderr().is_ok_and(|stream| named == stream))
}

/// Returns device and inode of standard error in the format of `JOURNAL_STREAM`.
fn stderr() -> io::Result<String> {
    let stream = File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()?;
    Ok(format!("{}:{}", stream.dev(), stream.ino()))
}

/// Puts the priority before every line, since the journal stores each line as a message.
fn prefixed(level: Level, text: &str) -> String {
    let priority = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    text.split('\n').map(|line| format!("<{priority}>{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_for_the_journal_has_its_priority() {
        assert_eq!(prefixed(Level::Warn, "one\ntwo"), "<4>one\n<4>two\n");
        assert_eq!(prefixed(Level::Error, ""), "<3>\n");
    }
}
