//! Severity levels, as monitoring systems use them.

use std::fmt;

/// The severity of a finding or a value. Its number is the exit status that monitoring systems expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Nothing to report.
    Ok = 0,
    /// An operator should check it.
    Warning = 1,
    /// An operator must act now.
    Critical = 2,
    /// The state could not be determined.
    Unknown = 3,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Ok => "OK",
            Level::Warning => "WARNING",
            Level::Critical => "CRITICAL",
            Level::Unknown => "UNKNOWN",
        })
    }
}
