//! Log files: appended to, rotated, and reopened when moved.

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

/// The number of attempts to get a lock that another process holds, and the pause between them: 0.05 seconds in all.
const LOCK_ATTEMPTS: usize = 1000;
const LOCK_RETRY: Duration = Duration::from_micros(50);
/// The time between two attempts to rotate a file.
const RETRY: Duration = Duration::from_secs(1);

/// Appends lines to the file at a path. Before each line, the path is compared with the open file: when logrotate or
/// another process has moved the file, a new one is created.
///
/// Processes that rotate the same file lock it for each line.
pub(crate) struct LogFile {
    path: PathBuf,
    rotation: Box<dyn LogRotation>,
    mode: OpenMode,
    open: Option<Open>,
    /// The file whose last line is incomplete.
    torn: Option<Id>,
    /// The number of attempts to get a lock that another process holds.
    lock_attempts: usize,
    /// True if the last lock was obtained in time. A writer waits only once for a process that keeps the lock.
    waits_for_lock: bool,
    rotation_failure: Option<RotationFailure>,
}

/// The handling of existing lines when a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    Append,
    Truncate,
}

struct Open {
    file: File,
    id: Id,
    /// True if this process holds the lock.
    locked: bool,
}

/// Identifies a file: device and inode.
type Id = (u64, u64);

fn id(file: &Metadata) -> Id {
    (file.dev(), file.ino())
}

/// A failed rotation.
struct RotationFailure {
    since: Instant,
    /// The reason, until it is taken for a report.
    error: Option<io::Error>,
}

impl LogFile {
    /// Makes a file that is opened with the first line, and then truncated if the mode is [`OpenMode::Truncate`].
    /// Creates the file's folder if it is missing.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be created, and if another user may have planted a link in the path.
    pub(crate) fn new(path: &Path, mode: OpenMode, rotation: Box<dyn LogRotation>) -> io::Result<LogFile> {
        files::create_folder_of(path)?;
        let path = path.to_owned();
        Ok(LogFile {
            path,
            rotation,
            mode,
            open: None,
            torn: None,
            lock_attempts: LOCK_ATTEMPTS,
            waits_for_lock: true,
            rotation_failure: None,
        })
    }

    /// Opens the file now.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub(crate) fn open(mut self) -> io::Result<LogFile> {
        self.reopen()?;
        Ok(self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, which includes its line end.
    ///
    /// # Errors
    ///
    /// Fails if the line cannot be written. The next line reopens the file.
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

    /// Takes the reason why the file cannot be rotated, once per series of failed rotations.
    pub(crate) fn rotation_failure(&mut self) -> Option<io::Error> {
        self.rotation_failure.as_mut()?.error.take()
    }

    /// Rotates the file at the path as often as a rotation is due: another process may fill the next file before this
    /// process locks it. An empty file always has room.
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

    /// Reopens the file if it is no longer the one at the path, and waits for its lock, up to 0.05 seconds. Returns the
    /// file's metadata.
    fn follow(&mut self) -> io::Result<Metadata> {
        let attempts = if self.waits_for_lock { self.lock_attempts } else { 1 };
        for _ in 0..attempts {
            let locked = self.lock();
            let there = fs::metadata(&self.path).ok();
            match there.filter(|there| self.open.as_ref().is_some_and(|open| open.id == id(there))) {
                Some(there) if locked => {
                    self.waits_for_lock = true;
                    return Ok(there);
                }
                Some(_) => thread::sleep(LOCK_RETRY),
                None => self.reopen()?,
            }
        }
        self.waits_for_lock = false;
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

    /// Rotates the file. Returns true if it was rotated. Of several processes, the one with the lock rotates the file.
    /// A file that cannot be rotated grows further (DESIGN.md, D81).
    fn rotate(&mut self, now: Timestamp) -> bool {
        let too_early = self.rotation_failure.as_ref().is_some_and(|failure| failure.since.elapsed() < RETRY);
        if too_early || !self.open.as_ref().is_some_and(|open| open.locked) {
            return false;
        }
        let result = self.check_movable().and_then(|()| self.rotation.rotate(&self.path, now));
        let rotated = result.is_ok();
        self.rotation_failure = result.err().map(|error| RotationFailure {
            since: Instant::now(),
            error: self.rotation_failure.is_none().then_some(error),
        });
        rotated
    }

    /// Refuses links such as `/dev/stdout`, whose move would affect the whole system.
    fn check_movable(&self) -> io::Result<()> {
        if is_open_file(&self.path) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it is a link to an open file"));
        }
        Ok(())
    }

    /// Locks the file. Returns true if this process may write to the file. A file that is not rotated or cannot be
    /// locked needs no lock.
    fn lock(&mut self) -> bool {
        let possible = self.rotation.is_possible();
        let Some(open) = &mut self.open else { return false };
        open.locked = !possible || !matches!(open.file.try_lock(), Err(TryLockError::WouldBlock));
        open.locked
    }

    fn unlock(&mut self) {
        let possible = self.rotation.is_possible();
        if let Some(open) = self.open.as_mut().filter(|open| open.locked && possible) {
            // If unlocking fails, the lock ends with the next line or when the file is closed.
            let _ = open.file.unlock();
            open.locked = false;
        }
    }
}

/// Opens a file for appending: a regular file, a character device such as a terminal, or a pipe with a reader.
fn opened(path: &Path) -> io::Result<File> {
    let file =
        files::open_trusted(path, OpenOptions::new().create(true).append(true)).map_err(
            |error| match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENXIO) => io::Error::new(error.kind(), "the pipe has no reader"),
                _ => error,
            },
        )?;
    let kind = file.metadata()?.file_type();
    if kind.is_block_device() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a terminal"));
    }
    // Writing to a full pipe must not block, so its lines are lost. Writing to standard output blocks as usual.
    if !kind.is_fifo() || is_open_file(path) {
        nix::fcntl::fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    }
    Ok(file)
}

/// Returns true if a path is a link such as `/dev/stdout`.
fn is_open_file(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.starts_with("/proc"))
}

#[cfg(test)]
#[path = "log_file_tests.rs"]
mod tests;
