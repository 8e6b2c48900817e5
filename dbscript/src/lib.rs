//! A framework for programs that connect to PostgreSQL and loop.
//!
//! A program consists of a config file, a few switches, a log, a pidfile, named database connections and a
//! unit of work that the loop repeats. This crate supplies everything except the work, which is a [`Script`]:
//!
//! ```no_run
//! # #[cfg(feature = "program")] {
//! use dbscript::{BoxError, Context, Job, Program, Round, Script};
//!
//! struct Cleaner;
//!
//! impl Script for Cleaner {
//!     fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
//!         let gone = cx.database("db")?.execute_typed("delete from session where expires < now()", &[])?;
//!         cx.stats().add("count", gone);
//!         Ok(Round::Idle)
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Program::new("cleaner")
//!         .about("Deletes expired sessions.")
//!         .database("db", "Connection string of the database to clean.")
//!         .main(|_config, _switches| Ok(Job::looping(Cleaner)))
//! }
//! # }
//! ```
//!
//! Without the `program` feature (on by default) the crate is a plain library for use inside a service: the work
//! loop, the connections and the handle that stops both. The library then reads only the files that connection
//! strings name (password, service and certificate files), and changes no global state of the process.

mod backoff;
mod control;
mod data_error;
mod database;
mod error;
mod files;
mod panics;
#[cfg(feature = "program")]
mod process;
mod progress;
mod ready;
mod run;
mod service_manager;
mod shortened;
mod stats;
mod text;

#[cfg(feature = "program")]
mod config;
#[cfg(feature = "program")]
mod logging;

pub use backoff::Backoff;
pub use control::Control;
pub use data_error::DataError;
#[cfg(feature = "asynchronous")]
#[doc(hidden)]
pub use database::asynchronous::{AsyncConnection, AsyncSession};
pub use database::blocking::require_blocking_thread;
pub use database::connection::Connection;
pub use database::databases::{DEFAULT_CONNECTION_LIFETIME, Databases};
pub use database::param;
#[doc(hidden)]
pub use database::session::{Repeating, Session};
pub use database::statement_cache::StatementCache;
pub use error::driver_error::DriverError;
pub use error::pattern::ErrorPattern;
pub use error::server_error::ServerMessage;
pub use error::state_class::StateClass;
pub use error::{
    BoxError, Error, ErrorKind, describe, describe_in_full, is_connection_error, is_final, is_interrupted,
    kind_of, sqlstate,
};
pub use files::{create_trusted_file, read_file, read_text_file, read_trusted_text_file};
pub use panics::catch_panic;
pub use progress::{Progress, Totals};
#[doc(hidden)]
pub use ready::ready;
pub use run::loop_settings::LoopSettings;
pub use run::run_loop::RunLoop;
pub use run::script::{Context, Round, Script};
pub use run::worker::{DROP_LIMIT, Worker, WorkerHandle};
#[doc(hidden)]
pub use shortened::shortened;
pub use stats::{Stat, Stats};
pub use text::fingerprint::fingerprint;
pub use text::log_throttle::LogThrottle;
pub use text::printable::{one_line, printable, printable_json};
pub use text::suggestion::suggest;

#[cfg(feature = "program")]
pub use self::{
    config::{Config, key::Key},
    process::confirm::{Consent, confirm},
    run::{args::Switches, command::Command, job::Job, program::Program},
};
