//! The lines on the standard output.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::BoxError;
use crate::adapter::Descriptor;
use crate::production::Produced;

pub(crate) fn descriptor(descriptor: &Descriptor) -> Result<(), BoxError> {
    print(&json!({
        "kind": "descriptor",
        "system": descriptor.system,
        "version": descriptor.version,
        "schema_version": descriptor.schema_version,
    }))
}

/// Reports that the process does its work from now on.
///
/// # Errors
///
/// When the other end of the pipe is closed.
pub fn ready() -> Result<(), BoxError> {
    print(&json!({ "kind": "ready" }))
}

pub(crate) fn produced(produced: Produced) -> Result<(), BoxError> {
    let (count, seconds) = (produced.count, produced.time.as_secs_f64());
    print(&json!({ "kind": "produced", "count": count, "seconds": seconds }))
}

pub(crate) fn consumed(count: u64, failed: u64, time: Duration) -> Result<(), BoxError> {
    let seconds = time.as_secs_f64();
    print(&json!({ "kind": "consumed", "count": count, "seconds": seconds, "failed": failed }))
}

fn print(line: &Value) -> Result<(), BoxError> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
