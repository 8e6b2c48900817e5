//! The handler of a log file.

use std::sync::{Mutex, PoisonError};

use log::warn;

use super::Handler;
use crate::logging::entry::Entry;
use crate::logging::files::log_file::LogFile;
use crate::text::log_throttle::LogThrottle;

/// Writes lines to a file. A line that cannot be written is lost, and the next line is written again. Both the loss and
/// its end are logged, and other handlers show these messages.
pub(crate) struct FileHandler {
    state: Mutex<State>,
}

struct State {
    file: LogFile,
    line: Vec<u8>,
    /// The number of lost lines that were not reported.
    lost: u64,
    /// True if a loss was reported and its end was not.
    is_reported: bool,
    /// Limits the reports: if short lines fit on the disk and long ones do not, each long line is a loss.
    throttle: LogThrottle,
}

impl FileHandler {
    pub(crate) fn new(file: LogFile) -> FileHandler {
        FileHandler {
            state: Mutex::new(State {
                file,
                line: Vec::new(),
                lost: 0,
                is_reported: false,
                throttle: LogThrottle::default(),
            }),
        }
    }
}

impl Handler for FileHandler {
    fn handle(&self, _: &Entry<'_>, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let event = state.write(text);
        let rotation_failure = state.file.rotation_failure();
        let path = state.file.path().to_owned();
        // This handler receives the following messages too, so the lock is released first.
        drop(state);
        if let Some(error) = rotation_failure {
            warn!("cannot rotate log file `{}`: {error}; the file keeps growing", path.display());
        }
        match event {
            WriteEvent::None => {}
            WriteEvent::Failed(error) => warn!("cannot write log file `{}`: {error}", path.display()),
            WriteEvent::Recovered(lost) => {
                warn!("log file `{}` is writable again: {lost} lines are lost", path.display())
            }
        }
    }
}

enum WriteEvent {
    None,
    Failed(std::io::Error),
    Recovered(u64),
}

impl State {
    fn write(&mut self, text: &str) -> WriteEvent {
        self.line.clear();
        self.line.extend_from_slice(text.as_bytes());
        self.line.push(b'\n');
        match self.file.write_line(&self.line) {
            Ok(()) if self.lost > 0 && (self.is_reported || self.may_report()) => {
                self.is_reported = false;
                WriteEvent::Recovered(std::mem::take(&mut self.lost))
            }
            Ok(()) => WriteEvent::None,
            Err(error) => {
                self.lost += 1;
                if self.is_reported || !self.may_report() {
                    return WriteEvent::None;
                }
                self.is_reported = true;
                WriteEvent::Failed(error)
            }
        }
    }

    fn may_report(&self) -> bool {
        self.throttle.admit_key("loss").is_some()
    }
}
