//! Output.

use std::io::{ErrorKind, Write, stdout};

use dbscript::{BoxError, Error};

/// Prints to standard output. Ignores a closed pipe.
pub(crate) fn print(text: &str) -> Result<(), BoxError> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::failed("cannot print").caused_by(error).into())
        }
        _ => Ok(()),
    }
}
