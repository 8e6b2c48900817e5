//! A file that lines are appended to, and that is followed when it is moved.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag};

use super::rotation::LogRotation;
use crate::files;

/// How often, and after which pause, a file is tried that another process writes to: 0.1 s in all.
const TURNS: usize = 1000;
const TURN: Duration = Duration::from_micros(50);
/// How long a file that could not be put aside is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Appends lines to the file at a path. Before each line it looks whether the path still leads to the file
/// that is open, so a file that was moved away, by logrotate or by another process that rotates it, is begun
/// anew.
///
/// Processes that rotate the same file take turns, line by line.
pub(crate) struct LogFile {
    path: PathBuf,
    rotation: Box<dyn LogRotation>,
    mode: OpenMode,
    open: Option<Open>,
    /// The file whose last line was cut off.
    torn: Option<Id>,
    /// How often a file is tried that another process writes to.
    turns: usize,
    /// Whether the last turn came in time: who keeps the file to himself is waited for only once.
    patient: bool,
    stuck: Option<Stuck>,
}

/// What happens to the lines of an existing file when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    Append,
    Truncate,
}

struct Open {
    file: File,
    id: Id,
    /// Whether nobody else writes to it or moves it.
    locked: bool,
}

/// What tells a file from all others.
type Id = (u64, u64);

fn id(file: &Metadata) -> Id {
    (file.dev(), file.ino())
}

/// A file that could not be put aside.
struct Stuck {
    since: Instant,
    /// Why, until somebody was told.
    error: Option<io::Error>,
}

impl LogFile {
    /// Makes a file that is opened with the first line, and truncated then if the mode is [`OpenMode::Truncate`]. Creates its
    /// folder where it is missing.
    ///
    /// # Errors
    ///
    /// When the folder cannot be created, and when another user may have laid out a link on the way to it.
    pub(crate) fn new(path: &Path, mode: OpenMode, rotation: Box<dyn LogRotation>) -> io::Result<LogFile> {
        files::create_folder_of(path)?;
        let path = path.to_owned();
        Ok(LogFile { path, rotation, mode, open: None, torn: None, turns: TURNS, patient: true, stuck: None })
    }

    /// Opens the file now.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn open(mut self) -> io::Result<LogFile> {
        self.reopen()?;
        Ok(self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, which brings its line end.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the next line tries anew.
    pub(crate) fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let there = self.file_with_room(line.len() as u64)?;
        let result = self.append(line);
        if result.is_err() {
            self.note_torn(&there);
            self.open = None;
        }
        self.unlock();
        result
    }

    /// Returns why the file cannot be put aside, once for each time that it begins.
    pub(crate) fn stuck(&mut self) -> Option<io::Error> {
        self.stuck.as_mut()?.error.take()
    }

    /// Puts the file at the path aside as often as that is due: others may have filled the next one before this
    /// process has its turn with it. A new one that is empty has room, whatever it is due for.
    fn file_with_room(&mut self, more: u64) -> io::Result<Metadata> {
        let mut there = self.follow()?;
        let now = Timestamp::now();
        while there.is_file() && self.rotation.is_due(there.len(), more, now) && self.rotate(now) {
            there = self.follow()?;
            if there.len() == 0 {
                break;
            }
        }
        Ok(there)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(Open { file, id, .. }) = &mut self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if self.torn == Some(*id) {
            file.write_all(b"\n")?;
        }
        self.torn = None;
        file.write_all(line)
    }

    fn note_torn(&mut self, before: &Metadata) {
        let length = self.open.as_ref().and_then(|open| open.file.metadata().ok()).map(|file| file.len());
        if length.is_some_and(|length| length != before.len()) {
            self.torn = Some(id(before));
        }
    }

    /// Makes sure that the open file is the one at the path, and waits for this process's turn with it, but
    /// not for long. Returns what the file is.
    fn follow(&mut self) -> io::Result<Metadata> {
        let turns = if self.patient { self.turns } else { 1 };
        for _ in 0..turns {
            let locked = self.lock();
            let there = fs::metadata(&self.path).ok();
            match there.filter(|there| self.open.as_ref().is_some_and(|open| open.id == id(there))) {
                Some(there) if locked => {
                    self.patient = true;
                    return Ok(there);
                }
                Some(_) => thread::sleep(TURN),
                None => self.reopen()?,
            }
        }
        self.patient = false;
        self.open.as_ref().ok_or(io::ErrorKind::NotFound)?.file.metadata()
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open = None;
        let file = opened(&self.path)?;
        let there = file.metadata()?;
        if std::mem::replace(&mut self.mode, OpenMode::Append) == OpenMode::Truncate && there.is_file() {
            file.set_len(0)?;
        }
        self.rotation.opened(&there);
        self.open = Some(Open { file, id: id(&there), locked: false });
        Ok(())
    }

    /// Moves the file out of the way, and tells whether it did. Of several processes that find it due, one
    /// does so. Where it cannot be moved, it goes on growing, since a line is worth more than a limit.
    fn rotate(&mut self, now: Timestamp) -> bool {
        let too_early = self.stuck.as_ref().is_some_and(|stuck| stuck.since.elapsed() < RETRY);
        if too_early || !self.open.as_ref().is_some_and(|open| open.locked) {
            return false;
        }
        let result = self.check_movable().and_then(|()| self.rotation.rotate(&self.path, now));
        let rotated = result.is_ok();
        self.stuck = result
            .err()
            .map(|error| Stuck { since: Instant::now(), error: self.stuck.is_none().then_some(error) });
        rotated
    }

    /// Refuses links such as `/dev/stdout`: moving one would take it from the whole system.
    fn check_movable(&self) -> io::Result<()> {
        if is_open_file(&self.path) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it is a link to an open file"));
        }
        Ok(())
    }

    /// Returns whether it is this process's turn, which it always is where files are not rotated or cannot be
    /// locked.
    fn lock(&mut self) -> bool {
        let possible = self.rotation.is_possible();
        let Some(open) = &mut self.open else { return false };
        open.locked = !possible || !matches!(open.file.try_lock(), Err(TryLockError::WouldBlock));
        open.locked
    }

    fn unlock(&mut self) {
        let possible = self.rotation.is_possible();
        if let Some(open) = self.open.as_mut().filter(|open| open.locked && possible) {
            // What is not unlocked now is with the next line, or when it is closed.
            let _ = open.file.unlock();
            open.locked = false;
        }
    }
}

/// Opens a file to append to: a regular one, a terminal or the like, or a pipe that somebody reads from.
fn opened(path: &Path) -> io::Result<File> {
    let file = files::open_own(path, OpenOptions::new().create(true).append(true)).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENXIO) => io::Error::new(error.kind(), "nobody reads from the pipe"),
            _ => error,
        }
    })?;
    let kind = file.metadata()?.file_type();
    if kind.is_block_device() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a terminal"));
    }
    // Lines for a pipe that nobody empties are lost rather than waited for, but standard output is waited for as ever.
    if !kind.is_fifo() || is_open_file(path) {
        nix::fcntl::fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    }
    Ok(file)
}

/// Returns whether a path is a link such as `/dev/stdout`.
fn is_open_file(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.starts_with("/proc"))
}

#[cfg(test)]
#[path = "log_file_tests.rs"]
mod tests;
