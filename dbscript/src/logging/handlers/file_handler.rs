//! A log file.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::warn;

use super::Handler;
use crate::logging::entry::Entry;
use crate::logging::files::log_file::LogFile;

/// Losses are told of at most this often.
const REPEAT: Duration = Duration::from_secs(60);

/// Writes lines to a file, whatever happens to it: a line that cannot be written is lost, the next one tries
/// anew. Both the loss and its end are told in the log, where other handlers show them.
pub(crate) struct FileHandler {
    state: Mutex<State>,
}

struct State {
    file: LogFile,
    line: Vec<u8>,
    /// Lines that were lost and not told of yet.
    lost: u64,
    /// Whether a loss was told of, and its end was not.
    is_told: bool,
    /// When a loss was last told of.
    told: Option<Instant>,
}

impl FileHandler {
    pub(crate) fn new(file: LogFile) -> FileHandler {
        FileHandler {
            state: Mutex::new(State { file, line: Vec::new(), lost: 0, is_told: false, told: None }),
        }
    }
}

impl Handler for FileHandler {
    fn handle(&self, _: &Entry<'_>, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let news = state.write(text);
        let rotation_failure = state.file.rotation_failure();
        let path = state.file.path().to_owned();
        // This handler receives the following messages too, so the lock is released first.
        drop(state);
        if let Some(error) = rotation_failure {
            warn!("cannot rotate log file `{}`: {error}; the file keeps growing", path.display());
        }
        match news {
            News::None => {}
            News::Lost(error) => warn!("cannot write log file `{}`: {error}", path.display()),
            News::Back(lost) => {
                warn!("log file `{}` is writable again: {lost} lines are lost", path.display())
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
            Ok(()) if self.lost > 0 && (self.is_told || self.may_tell()) => {
                self.is_told = false;
                News::Back(std::mem::take(&mut self.lost))
            }
            Ok(()) => News::None,
            Err(error) => {
                self.lost += 1;
                if self.is_told || !self.may_tell() {
                    return News::None;
                }
                self.is_told = true;
                News::Lost(error)
            }
        }
    }

    /// Returns whether a loss may be told of, which it is once a minute: where short lines have room and long ones have
    /// not, each of these would be told of otherwise.
    fn may_tell(&mut self) -> bool {
        let may = self.told.is_none_or(|told| told.elapsed() >= REPEAT);
        if may {
            self.told = Some(Instant::now());
        }
        may
    }
}
