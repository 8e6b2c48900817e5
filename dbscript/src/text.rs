//! Text for people: escaped, wrapped, compared, and names suggested for misspelled ones.

pub(crate) mod fingerprint;
pub(crate) mod log_throttle;
pub(crate) mod printable;
pub(crate) mod suggestion;
#[cfg(feature = "program")]
pub(crate) mod wrap;
