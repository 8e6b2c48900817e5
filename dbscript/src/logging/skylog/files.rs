//! Log files that are rotated by time.

pub(crate) mod interval;
pub(crate) mod timed_rotation;
