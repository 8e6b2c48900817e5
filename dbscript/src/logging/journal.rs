//! Telling whether standard error leads to systemd's journal.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// Tells whether standard error is the stream that the service manager named in `JOURNAL_STREAM`. The
/// variable alone says little: children inherit it, whatever their standard error is.
pub(super) fn is_stderr() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|named| stderr().is_ok_and(|stream| named == stream))
}

/// Returns the device and inode of standard error as `JOURNAL_STREAM` spells them.
fn stderr() -> io::Result<String> {
    let stream = File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()?;
    Ok(format!("{}:{}", stream.dev(), stream.ino()))
}
