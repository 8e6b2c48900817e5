//! A log file.

use std::sync::{Mutex, PoisonError};

use log::warn;

use super::Handler;
use crate::logging::entry::Entry;
use crate::logging::files::log_file::LogFile;
use crate::text::log_throttle::LogThrottle;

/// Writes lines to a file. A line that cannot be written is lost, and the next line is written again. Both the loss and
/// its end are logged, where other handlers show them.
pub(crate) struct FileHandler {
    state: Mutex<State>,
}

struct State {
    file: LogFile,
    line: Vec<u8>,
    /// How many lines were lost and not reported.
    lost: u64,
    /// Whether a loss was reported, and its end was not.
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
        let news = state.write(text);
        let stuck = state.file.stuck();
        let path = state.file.path().to_owned();
        // The messages about it come back to this handler.
        drop(state);
        if let Some(error) = stuck {
            warn!("cannot rotate log file `{}`, it goes on growing: {error}", path.display());
        }
        match news {
            News::None => {}
            News::Lost(error) => warn!("cannot write log file `{}`: {error}", path.display()),
            News::Back(lost) => {
                warn!("log file `{}` is written again, {lost} lines are lost", path.display())
            }
        }
    }
}

enum News {
    None,
    Lost(std::io::Error),
    Back(u64),
}

impl State {
    fn write(&mut self, text: &str) -> News {
        self.line.clear();
        self.line.extend_from_slice(text.as_bytes());
        self.line.push(b'\n');
        match self.file.write_line(&self.line) {
            Ok(()) if self.lost > 0 && (self.is_reported || self.may_report()) => {
                self.is_reported = false;
                News::Back(std::mem::take(&mut self.lost))
            }
            Ok(()) => News::None,
            Err(error) => {
                self.lost += 1;
                if self.is_reported || !self.may_report() {
                    return News::None;
                }
                self.is_reported = true;
                News::Lost(error)
            }
        }
    }

    fn may_report(&self) -> bool {
        self.throttle.admit_key("loss").is_some()
    }
}
