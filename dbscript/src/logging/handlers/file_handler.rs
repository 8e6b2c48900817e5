//! The handler of a log file.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::warn;

use super::Handler;
use crate::logging::entry::Entry;
use crate::logging::files::log_file::LogFile;

/// Lost lines are reported at most this often.
const REPEAT: Duration = Duration::from_secs(60);

/// Writes lines to a file. A line that cannot be written is lost, and the next one is tried again. The handler logs
/// the first lost line and the recovery, which other handlers show.
pub(crate) struct FileHandler {
    state: Mutex<State>,
}

struct State {
    file: LogFile,
    line: Vec<u8>,
    /// The number of lost lines that are not reported yet.
    lost: u64,
    /// Whether the failure is reported and the recovery is not.
    is_reported: bool,
    /// The time of the last report.
    last_report: Option<Instant>,
}

impl FileHandler {
    pub(crate) fn new(file: LogFile) -> FileHandler {
        FileHandler {
            state: Mutex::new(State {
                file,
                line: Vec::new(),
                lost: 0,
                is_reported: false,
                last_report: None,
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

    /// Returns whether a report is due, which is once a minute. On a full disk that has room for short lines only, each
    /// long line would be reported otherwise.
    fn may_report(&mut self) -> bool {
        let may = self.last_report.is_none_or(|at| at.elapsed() >= REPEAT);
        if may {
            self.last_report = Some(Instant::now());
        }
        may
    }
}
