//! Reports of errors, before and after the log is set up.

use std::io::{Write, stderr};

use log::{LevelFilter, error, max_level};

use crate::text::printable::one_line;

/// Reports an error in one line: in the log, or on standard error before the log is set up.
pub(crate) fn report_error(line: &str) {
    if max_level() == LevelFilter::Off {
        // A closed standard error must not change the exit status.
        let _ = stderr().write_all(format!("{}\n", one_line(line)).as_bytes());
    } else {
        error!("{line}");
    }
}
