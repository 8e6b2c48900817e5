//! The handlers that only a skylog file can configure.

pub(crate) mod facility;
pub(crate) mod log_db;
pub(crate) mod null_handler;
pub(crate) mod syslog;
pub(crate) mod tally;
pub(crate) mod udp_log_server;
pub(crate) mod udp_tnetstrings;
