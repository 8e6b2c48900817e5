//! The levels under the names and numbers of Python's `logging`.

use log::{Level, LevelFilter};

/// Returns a level's name in log lines.
pub(super) fn name(level: Level) -> &'static str {
    match level {
        Level::Warn => "WARNING",
        other => other.as_str(),
    }
}

/// Returns a level's number.
pub(super) fn number(level: Level) -> i64 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

/// Returns what a level of a skylog file lets through. Nothing in Rust is more severe than an error, so
/// CRITICAL lets nothing through.
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
