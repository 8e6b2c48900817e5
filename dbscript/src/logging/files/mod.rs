//! Files that lines are appended to, and when they are put aside.

pub(crate) mod log_file;
pub(crate) mod rotation;
pub(crate) mod size_rotation;
