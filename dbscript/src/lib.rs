//! A framework for programs that connect to PostgreSQL and loop.
//!
//! A program is a config file, a few switches, a log, a pidfile, named database connections and a
//! piece of work that is done again and again. This crate has all of it except the work, which is
//! a [`Script`]:
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
//! Without the `program` feature (on by default) the crate is a plain library: the work loop, the
//! connections and the means to stop them, for use inside a service. It then reads no files but those
//! that connection strings lead to, and touches nothing global.

mod connect;
mod connection;
mod conninfo;
mod control;
mod data_error;
mod databases;
mod error;
mod error_kind;
mod files;
mod gist;
mod listen;
mod manager;
mod nearest;
mod panics;
mod plain;
mod pool;
mod progress;
mod repeats;
mod run_loop;
mod script;
mod server_error;
mod stats;
mod tls;
mod trouble;
mod worker;

#[cfg(feature = "program")]
mod args;
#[cfg(feature = "program")]
mod command;
#[cfg(feature = "program")]
mod complaint;
#[cfg(feature = "program")]
mod completions;
#[cfg(feature = "program")]
mod config;
#[cfg(feature = "program")]
mod confirm;
#[cfg(feature = "program")]
mod daemon;
#[cfg(feature = "program")]
mod ini;
#[cfg(feature = "program")]
mod ini_template;
#[cfg(feature = "program")]
mod interpolate;
#[cfg(feature = "program")]
mod key;
#[cfg(feature = "program")]
mod logging;
#[cfg(feature = "program")]
mod man;
#[cfg(feature = "program")]
mod pidfile;
#[cfg(feature = "program")]
mod program;
#[cfg(feature = "program")]
mod run;
#[cfg(feature = "program")]
mod settings;
#[cfg(feature = "program")]
mod signals;
#[cfg(feature = "program")]
mod systemd;
#[cfg(feature = "program")]
mod wrap;

pub use connection::Connection;
pub use control::Control;
pub use data_error::DataError;
pub use databases::{DEFAULT_CONNECTION_LIFETIME, Databases};
pub use error::{
    BoxError, Error, describe, describe_in_full, is_connection_error, is_final, is_interrupted, sqlstate,
};
pub use error_kind::ErrorKind;
pub use files::{create_own_file, read_file, read_own_text_file, read_text_file};
pub use gist::gist;
pub use nearest::nearest;
pub use panics::guarded;
pub use plain::{one_line, plain, plain_json};
pub use progress::{Progress, Totals};
pub use repeats::Repeats;
pub use run_loop::{LoopSettings, RunLoop};
pub use script::{Context, Round, Script};
pub use stats::{Stat, Stats};
pub use worker::{DROP_LIMIT, Worker, WorkerHandle};

#[cfg(feature = "program")]
pub use args::Switches;
#[cfg(feature = "program")]
pub use command::Command;
#[cfg(feature = "program")]
pub use config::Config;
#[cfg(feature = "program")]
pub use confirm::confirm;
#[cfg(feature = "program")]
pub use key::Key;
#[cfg(feature = "program")]
pub use program::{Job, Program};
