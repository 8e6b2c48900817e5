//! Telling what is wrong, before there is a log and after.

use std::io::{Write, stderr};

use log::{LevelFilter, error, max_level};

use crate::text::plain::one_line;

/// Reports what is wrong in one line: on the log, or on standard error where there is none yet.
pub(crate) fn complain(line: &str) {
    if max_level() == LevelFilter::Off {
        // A standard error that takes nothing must not change the exit status.
        let _ = stderr().write_all(format!("{}\n", one_line(line)).as_bytes());
    } else {
        error!("{line}");
    }
}
