//! Text for people at a terminal.

use std::borrow::Cow;
use std::io::{ErrorKind, Write, stdout};

use dbscript::BoxError;

/// Prints to standard output; a reader that has seen enough is no failure.
pub(crate) fn print(text: &str) -> Result<(), BoxError> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Returns a text on one line and without what a terminal would take as a command: control characters are written
/// as backslash and code, a backslash as two.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() || c == '\\') {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| match c {
        c if c.is_control() || c == '\\' => c.escape_default().to_string(),
        c => c.to_string(),
    });
    Cow::Owned(escaped.collect())
}
