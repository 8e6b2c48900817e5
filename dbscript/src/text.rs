//! Lines that people read: escaped, shortened, wrapped, and names that were meant.

pub(crate) mod gist;
pub(crate) mod log_throttle;
pub(crate) mod nearest;
pub(crate) mod plain;
#[cfg(feature = "program")]
pub(crate) mod wrap;
