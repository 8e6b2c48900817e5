//! The lines on the standard output.

use std::io::Write;

use field_adapters::BoxError;
use serde_json::Value;

/// Prints a line.
///
/// # Errors
///
/// When the other end of the pipe is closed.
pub(crate) fn print(line: &Value) -> Result<(), BoxError> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
