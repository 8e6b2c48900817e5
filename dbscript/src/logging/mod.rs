//! The program's log: standard error and a rotated file.

mod format;
mod rotating_file;
mod stderr;

use std::io::Write;
use std::path::PathBuf;

use fern::Dispatch;
use log::LevelFilter;

use crate::Error;
use rotating_file::RotatingFile;
use stderr::Stderr;

/// Libraries whose own messages would drown the program's; their warnings are kept.
const QUIETED: [&str; 3] = ["postgres", "tokio_postgres", "r2d2"];

/// Where log lines go.
pub(crate) struct LogSettings {
    pub(crate) level: LevelFilter,
    pub(crate) file: Option<LogFile>,
}

/// A log file and when it is rotated.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LogFile {
    pub(crate) path: PathBuf,
    /// Bytes.
    pub(crate) size: u64,
    /// Old files to keep.
    pub(crate) count: u32,
}

/// Makes the process's logger.
///
/// # Errors
///
/// When the log file cannot be written, or another logger is in place.
pub(crate) fn init(settings: LogSettings) -> Result<(), Error> {
    let mut dispatch = Dispatch::new()
        .level(settings.level)
        .format(format::text)
        .chain(Box::new(Stderr) as Box<dyn Write + Send>);
    for target in QUIETED {
        dispatch = dispatch.level_for(target, settings.level.min(LevelFilter::Warn));
    }
    if let Some(file) = settings.file {
        let file = RotatingFile::open(&file.path, file.size, file.count).map_err(|error| {
            Error::failed(format!("cannot write logfile `{}`", file.path.display())).caused_by(error)
        })?;
        dispatch = dispatch.chain(Box::new(file) as Box<dyn Write + Send>);
    }
    dispatch.apply().map_err(|error| Error::failed("cannot set up the log").caused_by(error))
}
