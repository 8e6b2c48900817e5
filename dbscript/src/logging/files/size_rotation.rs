//! Rotation by size: `x.log.1`, `x.log.2`, ….

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::rotation::LogRotation;

/// Keeps a file below a size, as Python's `RotatingFileHandler` does. With a size or count of 0, the file is never
/// rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeRotation {
    /// The limit in bytes that a file stays below, except for a longer single line.
    pub(crate) size: u64,
    /// The number of old files to keep.
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

    /// Renames every old file to the next number; the oldest is overwritten.
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
