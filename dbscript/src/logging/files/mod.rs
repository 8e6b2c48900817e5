//! Log files and their rotation.

pub(crate) mod log_file;
pub(crate) mod rotation;
pub(crate) mod size_rotation;
