//! `x.log.1`, `x.log.2`, …: files that are put aside when they are full.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::rotation::LogRotation;

/// Keeps a file below a size, as Python's `RotatingFileHandler` does: with either number 0 it grows forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeRotation {
    /// Bytes that a file stays below, unless a single line is as long.
    pub(crate) size: u64,
    /// Old files to keep.
    pub(crate) count: u32,
}

impl SizeRotation {
    /// Never rotates the file.
    pub(crate) const NEVER: SizeRotation = SizeRotation { size: 0, count: 0 };
}

impl LogRotation for SizeRotation {
    fn is_possible(&self) -> bool {
        self.size > 0 && self.count > 0
    }

    fn is_due(&self, length: u64, more: u64, _now: Timestamp) -> bool {
        self.is_possible() && length > 0 && length + more >= self.size
    }

    /// Moves every file one number up; the oldest is overwritten.
    fn rotate(&mut self, path: &Path, _now: Timestamp) -> io::Result<()> {
        for number in (1..self.count).rev() {
            let old = numbered(path, number);
            if old.exists() {
                fs::rename(old, numbered(path, number + 1))?;
            }
        }
        fs::rename(path, numbered(path, 1))
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}
