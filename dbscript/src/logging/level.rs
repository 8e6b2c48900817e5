//! Names and numbers of levels in Python's `logging`.

use log::{Level, LevelFilter};

/// Returns the name of a level in log lines.
pub(super) fn name(level: Level) -> &'static str {
    match level {
        Level::Warn => "WARNING",
        other => other.as_str(),
    }
}

/// Returns the number of a level in Python.
pub(super) fn number(level: Level) -> i64 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

/// Returns the filter for a level of a skylog file. No level in Rust is more severe than an error, so `CRITICAL`
/// turns the log off.
pub(super) fn parse(name: &str) -> Option<LevelFilter> {
    Some(match name {
        "NOTSET" | "TRACE" => LevelFilter::Trace,
        "DEBUG" => LevelFilter::Debug,
        "INFO" => LevelFilter::Info,
        "WARNING" | "WARN" => LevelFilter::Warn,
        "ERROR" => LevelFilter::Error,
        "CRITICAL" | "FATAL" => LevelFilter::Off,
        _ => return None,
    })
}
