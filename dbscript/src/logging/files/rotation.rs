//! The strategy of rotation: when a log file is rotated, and the name of the old file.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use jiff::Timestamp;

/// Decides when a log file is rotated, and renames it.
pub(crate) trait LogRotation: Send {
    /// Returns true if the file is ever rotated.
    fn is_possible(&self) -> bool {
        true
    }

    /// Adjusts the rotation to a file that was opened.
    fn opened(&mut self, _file: &Metadata) {}

    /// Returns true if a file of `length` bytes must be rotated before `more` bytes are written to it.
    fn is_due(&self, length: u64, more: u64, now: Timestamp) -> bool;

    /// Renames the file, and removes the oldest old files beyond the limit.
    fn rotate(&mut self, path: &Path, now: Timestamp) -> io::Result<()>;
}
