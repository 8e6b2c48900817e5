//! The program's log: standard error and a rotated file, or what `skylog.ini` says.
//!
//! The path of a message: the record passes the levels ([`init`]), becomes an entry for the loggers that it
//! belongs to ([`logger`]), and goes to their [`handlers`], each with the text that its [`layout`] renders:
//! to a stream, to [`files`], or, with the feature `skylog`, through an outbox to a receiver that may be slow or away.
#![cfg_attr(not(feature = "skylog"), allow(dead_code, reason = "some of it is used by skylog alone"))]

mod backlog;
pub(crate) mod complaint;
mod entry;
mod files;
mod handlers;
mod identity;
mod layout;
mod level;
mod logger;
#[cfg(test)]
mod python;
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

/// Libraries whose own messages would drown the program's; below trace, only their warnings are kept.
const QUIETED: [&str; 4] = ["postgres", "tokio_postgres", "r2d2", "rustls"];

/// Where the driver logs the parameters of statements, which are what rows hold; never shown unless a skylog file names
/// it.
const PARAMETERS: &str = "tokio_postgres::query";

/// Makes the process's logger.
///
/// # Errors
///
/// When a log file cannot be written or another logger is in place; a usage error when the skylog file is
/// missing or broken.
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
            let what = "key `use_skylog` is set, and the program was built without the feature `skylog` of `dbscript`";
            return Err(Error::usage(what));
        }
        None => logger.add_to_root(Box::new(StreamHandler::stderr()), settings.console.at(level)),
    }
    if let Some(file) = &settings.file {
        logger.add_to_root(Box::new(open(file)?), file.layouts.at(level));
    }
    survive_size_limits()?;
    apply(logger, level)
}

/// Makes the process's logger, which knows standard error alone.
///
/// # Errors
///
/// When another logger is in place.
pub(crate) fn init_console(settings: &LogSettings, level: LevelFilter) -> Result<(), Error> {
    let mut logger = Logger::new(settings.identity(HostAddress::IfShown));
    logger.add_to_root(Box::new(StreamHandler::stderr()), settings.console.at(level));
    apply(logger, level)
}

/// Delivers what handlers still hold back.
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

/// Makes a file that has reached the process's limit (`ulimit -f`) an error of the write instead of the
/// process's end, by a signal handler that does nothing.
fn survive_size_limits() -> Result<(), Error> {
    let ignored = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::SIGXFSZ as i32, ignored)
        .map(|_| ())
        .map_err(|error| Error::failed("cannot handle signals").caused_by(error))
}

/// Puts the logger behind the levels: a module's own, else those of the quieted libraries, else the job's,
/// else the program's, which are the root's.
fn apply(logger: Logger, level: LevelFilter) -> Result<(), Error> {
    let level = logger.default_level(level);
    let mut dispatch = Dispatch::new().level(level);
    if level < LevelFilter::Trace {
        for target in QUIETED {
            dispatch = dispatch.level_for(target, level.min(LevelFilter::Warn));
        }
    }
    dispatch = dispatch.level_for(PARAMETERS, level.min(LevelFilter::Warn));
    for (module, level) in logger.module_levels() {
        dispatch = dispatch.level_for(module.to_owned(), level);
    }
    let dispatch = dispatch.chain(Box::new(logger) as Box<dyn Log>);
    dispatch.apply().map_err(|error| Error::failed("cannot set up the log").caused_by(error))
}
