//! The work loop, the thread or program that runs it, and the command line.

#[cfg(feature = "program")]
pub(crate) mod args;
#[cfg(feature = "program")]
pub(crate) mod command;
#[cfg(feature = "program")]
pub(crate) mod completions;
#[cfg(feature = "program")]
pub(crate) mod description;
pub(crate) mod failure_report;
#[cfg(feature = "program")]
pub(crate) mod invocation;
#[cfg(feature = "program")]
pub(crate) mod job;
pub(crate) mod loop_settings;
#[cfg(feature = "program")]
pub(crate) mod man;
#[cfg(feature = "program")]
pub(crate) mod program;
pub(crate) mod run_loop;
pub(crate) mod script;
#[cfg(feature = "program")]
pub(crate) mod settings;
pub(crate) mod worker;
