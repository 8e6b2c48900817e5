//! Positions that are kept outside of the queue.

pub(crate) mod local;
pub(crate) mod local_handler;
pub(crate) mod tracking_file;
