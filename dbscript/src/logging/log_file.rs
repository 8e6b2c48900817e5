//! A file that lines are appended to, and that is followed when it is moved.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::rotation::Rotation;

/// Appends lines to the file at a path. Before each line it looks whether the path still leads to the file
/// that is open, so a file that was moved away, by logrotate or by another process that rotates it, is begun
/// anew.
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    truncate: bool,
    open: Option<Open>,
    /// Whether the last line was cut off.
    torn: bool,
}

struct Open {
    file: File,
    id: Id,
}

/// What tells a file from all others.
type Id = (u64, u64);

fn id(file: &Metadata) -> Id {
    (file.dev(), file.ino())
}

impl LogFile {
    /// Makes a file that is opened with the first line, and emptied then if `truncate` says so. Creates its
    /// folder where it is missing.
    ///
    /// # Errors
    ///
    /// When the folder cannot be created.
    pub(super) fn new(path: &Path, truncate: bool, rotation: Rotation) -> io::Result<LogFile> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(LogFile { path: path.to_owned(), rotation, truncate, open: None, torn: false })
    }

    /// Opens the file now.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn open(mut self) -> io::Result<LogFile> {
        self.reopen()?;
        Ok(self)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, which brings its line end.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the next line tries anew.
    pub(super) fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut there = self.follow()?;
        let now = Timestamp::now();
        if there.is_file() && self.rotation.is_due(there.len(), line.len() as u64, now) {
            self.rotate(&there, now);
            there = self.follow()?;
        }
        let result = self.append(line);
        if result.is_err() {
            self.torn |= self.length().is_some_and(|length| length != there.len());
            self.open = None;
        }
        result
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(Open { file, .. }) = &mut self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if self.torn {
            file.write_all(b"\n")?;
            self.torn = false;
        }
        file.write_all(line)
    }

    /// Makes sure that the open file is the one at the path, and returns what it is.
    fn follow(&mut self) -> io::Result<Metadata> {
        match fs::metadata(&self.path) {
            Ok(there) if self.open.as_ref().is_some_and(|open| open.id == id(&there)) => Ok(there),
            _ => self.reopen(),
        }
    }

    fn reopen(&mut self) -> io::Result<Metadata> {
        self.open = None;
        if self.truncate {
            File::create(&self.path)?;
            self.truncate = false;
        }
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let there = file.metadata()?;
        self.rotation.opened(&there);
        self.open = Some(Open { file, id: id(&there) });
        Ok(there)
    }

    /// Moves the file out of the way. Of several processes that find it due, one does so. Where it cannot be
    /// moved, it goes on growing, since a line is worth more than a limit.
    fn rotate(&mut self, there: &Metadata, now: Timestamp) {
        let Some(Open { file, .. }) = &self.open else { return };
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return;
        }
        if fs::metadata(&self.path).is_ok_and(|found| id(&found) == id(there)) {
            let _ = self.rotation.rotate(&self.path, now);
        }
        let _ = file.unlock();
    }

    fn length(&self) -> Option<u64> {
        self.open.as_ref()?.file.metadata().ok().map(|file| file.len())
    }
}

#[cfg(test)]
#[path = "log_file_tests.rs"]
mod tests;
