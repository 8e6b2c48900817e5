//! Log files that are rotated by the clock.

pub(crate) mod interval;
pub(crate) mod timed_rotation;
