//! When a log file is put aside, and under which name.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::size_rotation::SizeRotation;
use super::timed_rotation::TimedRotation;

pub(crate) enum Rotation {
    Never,
    Size(SizeRotation),
    Timed(TimedRotation),
}

impl Rotation {
    /// Tells whether files are ever put aside.
    pub(crate) fn is_possible(&self) -> bool {
        match self {
            Rotation::Never => false,
            Rotation::Size(size) => size.is_possible(),
            Rotation::Timed(_) => true,
        }
    }

    /// Takes note of a file that was opened.
    pub(crate) fn opened(&mut self, file: &Metadata) {
        if let Rotation::Timed(timed) = self {
            timed.opened(file);
        }
    }

    /// Tells whether a file of `length` bytes has to go before `more` are written to it.
    pub(crate) fn is_due(&self, length: u64, more: u64, now: Timestamp) -> bool {
        match self {
            Rotation::Never => false,
            Rotation::Size(size) => size.is_due(length, more),
            Rotation::Timed(timed) => timed.is_due(now),
        }
    }

    /// Moves the file, and removes those that are too many.
    pub(crate) fn rotate(&mut self, path: &Path, now: Timestamp) -> io::Result<()> {
        match self {
            Rotation::Never => Ok(()),
            Rotation::Size(size) => size.rotate(path),
            Rotation::Timed(timed) => timed.rotate(path, now),
        }
    }
}
