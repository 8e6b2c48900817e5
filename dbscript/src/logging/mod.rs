//! The program's log: standard error and a rotated file, or the handlers of `skylog.ini`.
//!
//! The path of a message:
//!
//! 1. The record passes the levels ([`init`]) and becomes an entry.
//! 2. The loggers that the entry belongs to pass it to their handlers ([`logger`]).
//! 3. The [`layout`] of each handler renders the text.
//! 4. The handler ([`handlers`]) writes the text to a stream or to [`files`]. With the feature `skylog`, handlers can
//!    also send it through an outbox to a receiver, which may be slow or unreachable.
#![cfg_attr(not(feature = "skylog"), allow(dead_code, reason = "some of it is used by skylog alone"))]

mod backlog;
mod entry;
mod files;
mod handlers;
mod identity;
mod layout;
mod level;
mod logger;
#[cfg(test)]
mod python;
pub(crate) mod report;
mod scope;
mod settings;
#[cfg(feature = "skylog")]
mod skylog;
#[cfg(test)]
mod testing;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fern::Dispatch;
use log::{LevelFilter, Log};
use nix::sys::signal::Signal;

use crate::error::Error;
use files::log_file::{LogFile, OpenMode};
use handlers::file_handler::FileHandler;
use handlers::stream_handler::StreamHandler;
use identity::HostAddress;
use logger::Logger;
use settings::LogFileSettings;
pub(crate) use settings::{
    FORMAT_KEYS, LOG_COUNT, LOG_FORMAT, LOG_SIZE, LOGFILE, LogSettings, SKYLOG_LOCATIONS, USE_SKYLOG,
};

/// Libraries with many messages. Below the level trace, only their warnings and errors are logged. A client of NATS
/// returns each error that it logs.
const QUIETED: [(&str, LevelFilter); 5] = [
    ("postgres", LevelFilter::Warn),
    ("tokio_postgres", LevelFilter::Warn),
    ("r2d2", LevelFilter::Warn),
    ("rustls", LevelFilter::Warn),
    ("async_nats", LevelFilter::Off),
];

/// The log target for the parameters of statements, which contain data of rows. Logged only when a skylog file names
/// this target.
const PARAMETERS: &str = "tokio_postgres::query";

/// Sets up the process's logger.
///
/// # Errors
///
/// Fails if a log file cannot be written or another logger is in place; a usage error if the skylog file is missing or
/// broken.
pub(crate) fn init(settings: &LogSettings, level: LevelFilter, daemon: bool) -> Result<(), Error> {
    let skylog = settings.skylog_file(!daemon && std::io::stdout().is_terminal())?;
    let mut logger = Logger::new(settings.identity(if skylog.is_some() {
        HostAddress::Resolved
    } else {
        HostAddress::IfShown
    }));
    match skylog {
        #[cfg(feature = "skylog")]
        Some(path) => skylog::configure(&mut logger, &path)?,
        #[cfg(not(feature = "skylog"))]
        Some(_) => {
            let reason = "key `use_skylog` is set, but the program was built without the feature `skylog` of `dbscript`";
            return Err(Error::usage(reason));
        }
        None => logger.add_to_root(Box::new(StreamHandler::stderr()), settings.console.at(level)),
    }
    if let Some(file) = &settings.file {
        logger.add_to_root(Box::new(open(file)?), file.layouts.at(level));
    }
    survive_size_limits()?;
    apply(logger, level)
}

/// Sets up the process's logger for standard error only.
///
/// # Errors
///
/// Fails if another logger is in place.
pub(crate) fn init_console(settings: &LogSettings, level: LevelFilter) -> Result<(), Error> {
    let mut logger = Logger::new(settings.identity(HostAddress::IfShown));
    logger.add_to_root(Box::new(StreamHandler::stderr()), settings.console.at(level));
    apply(logger, level)
}

/// Delivers the messages that handlers have not delivered yet, within one second.
pub(crate) fn flush() {
    log::logger().flush();
}

fn open(file: &LogFileSettings) -> Result<FileHandler, Error> {
    LogFile::new(&file.path, OpenMode::Append, Box::new(file.rotation))
        .and_then(LogFile::open)
        .map(FileHandler::new)
        .map_err(|error| {
            Error::failed(format!("cannot write logfile `{}`", file.path.display())).caused_by(error)
        })
}

/// Handles SIGXFSZ by doing nothing: a write beyond the process's file size limit (`ulimit -f`) then fails instead of
/// ending the process.
fn survive_size_limits() -> Result<(), Error> {
    let ignored = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::SIGXFSZ as i32, ignored)
        .map(|_| ())
        .map_err(|error| Error::failed("cannot handle signals").caused_by(error))
}

/// Installs the logger behind the level filters. The level of a message is that of its module, of a quieted library,
/// of the job, or of the program, in this order of precedence.
fn apply(logger: Logger, level: LevelFilter) -> Result<(), Error> {
    let level = logger.default_level(level);
    let mut dispatch = Dispatch::new().level(level);
    if level < LevelFilter::Trace {
        for (target, most) in QUIETED {
            dispatch = dispatch.level_for(target, level.min(most));
        }
    }
    dispatch = dispatch.level_for(PARAMETERS, level.min(LevelFilter::Warn));
    for (module, level) in logger.module_levels() {
        dispatch = dispatch.level_for(module.to_owned(), level);
    }
    let dispatch = dispatch.chain(Box::new(logger) as Box<dyn Log>);
    dispatch.apply().map_err(|error| Error::failed("cannot set up the log").caused_by(error))
}
