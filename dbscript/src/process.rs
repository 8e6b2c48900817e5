//! The process: pidfile, daemon, signals, service manager, terminal.

pub(crate) mod confirm;
pub(crate) mod daemon;
pub(crate) mod die_by_signal;
pub(crate) mod pidfile;
pub(crate) mod signals;
pub(crate) mod systemd;
