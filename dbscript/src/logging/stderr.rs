//! Standard error as a place to log to.

use std::io::{self, Write};

/// Writes to standard error; what cannot be written is lost, since a closed pipe is no reason to end.
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
