//! The classes of handlers that a skylog file can use.

use std::path::Path;

use jiff::tz::TimeZone;

use super::arguments::{Arguments, wrong};
use super::receivers;
use super::value::Value;
use crate::error::Error;
use crate::logging::files::log_file::{LogFile, OpenMode};
use crate::logging::files::rotation::LogRotation;
use crate::logging::files::size_rotation::SizeRotation;
use crate::logging::handlers::Handler;
use crate::logging::handlers::file_handler::FileHandler;
use crate::logging::handlers::stream_handler::StreamHandler;
use crate::logging::identity::Identity;
use crate::logging::skylog::files::interval::Interval;
use crate::logging::skylog::files::timed_rotation::TimedRotation;
use crate::logging::skylog::handlers::null_handler::NullHandler;

/// Creates a handler from the arguments of its class.
type Make = fn(&Arguments, &Identity) -> Result<Box<dyn Handler>, Error>;

/// A class of handlers, with its parameters in positional order.
pub(super) struct Class {
    name: &'static str,
    pub(super) parameters: &'static [&'static str],
    pub(super) make: Make,
}

const CLASSES: &[Class] = &[
    Class { name: "StreamHandler", parameters: &["stream"], make: stream },
    Class { name: "NullHandler", parameters: &["level"], make: |_, _| boxed(NullHandler) },
    Class {
        name: "FileHandler",
        parameters: &["filename", "mode", "encoding", "delay", "errors"],
        make: |arguments, _| sized_file(arguments, SizeRotation::NEVER),
    },
    Class {
        name: "handlers.WatchedFileHandler",
        parameters: &["filename", "mode", "encoding", "delay", "errors"],
        make: |arguments, _| sized_file(arguments, SizeRotation::NEVER),
    },
    Class {
        name: "handlers.RotatingFileHandler",
        parameters: &["filename", "mode", "maxBytes", "backupCount", "encoding", "delay", "errors"],
        make: |arguments, _| sized_file(arguments, by_size(arguments, 0, 0)?),
    },
    Class {
        name: "skylog.EasyRotatingFileHandler",
        parameters: &["filename", "maxBytes", "backupCount"],
        make: |arguments, _| sized_file(arguments, by_size(arguments, 10 * 1024 * 1024, 3)?),
    },
    Class {
        name: "handlers.TimedRotatingFileHandler",
        parameters: &[
            "filename",
            "when",
            "interval",
            "backupCount",
            "encoding",
            "delay",
            "utc",
            "atTime",
            "errors",
        ],
        make: |arguments, _| file(arguments, Box::new(by_time(arguments)?), OpenMode::Truncate),
    },
    Class { name: "handlers.SysLogHandler", parameters: SYSLOG, make: receivers::syslog },
    Class { name: "skylog.SysLogHandler", parameters: SYSLOG, make: receivers::syslog },
    Class { name: "skylog.SysLogHostnameHandler", parameters: SYSLOG, make: receivers::syslog_with_hostname },
    Class { name: "skylog.UdpLogServerHandler", parameters: &["host", "port"], make: receivers::log_server },
    Class {
        name: "skylog.UdpTNetStringsHandler",
        parameters: &["host", "port"],
        make: receivers::tnetstrings,
    },
    Class { name: "skylog.LogDBHandler", parameters: &["connect_string"], make: receivers::log_db },
];

const SYSLOG: &[&str] = &["address", "facility", "socktype"];

/// Finds a class by any of its names in Python.
pub(super) fn find(name: &str) -> Option<&'static Class> {
    let name = name.strip_prefix("logging.").or_else(|| name.strip_prefix("skytools.")).unwrap_or(name);
    CLASSES.iter().find(|class| class.name == name)
}

fn boxed(handler: impl Handler + 'static) -> Result<Box<dyn Handler>, Error> {
    Ok(Box::new(handler))
}

fn stream(arguments: &Arguments, _: &Identity) -> Result<Box<dyn Handler>, Error> {
    match arguments.get("stream") {
        Some(Value::Stdout) => boxed(StreamHandler::Stdout),
        Some(Value::Stderr) | None => boxed(StreamHandler::stderr()),
        Some(_) => Err(wrong("stream", "must be sys.stderr or sys.stdout")),
    }
}

/// Creates a handler of a file. A file that is rotated by size is never truncated.
fn sized_file(arguments: &Arguments, rotation: SizeRotation) -> Result<Box<dyn Handler>, Error> {
    let mode = if rotation.size == 0 { OpenMode::Truncate } else { OpenMode::Append };
    file(arguments, Box::new(rotation), mode)
}

fn file(
    arguments: &Arguments,
    rotation: Box<dyn LogRotation>,
    w_mode: OpenMode,
) -> Result<Box<dyn Handler>, Error> {
    let path = arguments.path("filename")?;
    let mode = match arguments.text_opt("mode")? {
        None | Some("a") => OpenMode::Append,
        Some("w") => w_mode,
        Some(_) => return Err(wrong("mode", "must be 'a' or 'w'")),
    };
    let encoding = arguments.text_opt("encoding")?.unwrap_or("utf-8").to_lowercase().replace('_', "-");
    if !["utf-8", "utf8", "u8", "utf"].contains(&encoding.as_str()) {
        return Err(wrong("encoding", "must be 'utf-8'"));
    }
    let delay = arguments.flag("delay")?;
    boxed(open(&path, mode, delay, rotation)?)
}

fn open(
    path: &Path,
    mode: OpenMode,
    delay: bool,
    rotation: Box<dyn LogRotation>,
) -> Result<FileHandler, Error> {
    LogFile::new(path, mode, rotation)
        .and_then(|file| if delay { Ok(file) } else { file.open() })
        .map(FileHandler::new)
        .map_err(|error| {
            Error::failed(format!("cannot write log file `{}`", path.display())).caused_by(error)
        })
}

fn by_size(arguments: &Arguments, size: u64, count: u32) -> Result<SizeRotation, Error> {
    let size = arguments.number("maxBytes", size)?;
    let count = arguments.number("backupCount", count)?;
    Ok(SizeRotation { size, count })
}

fn by_time(arguments: &Arguments) -> Result<TimedRotation, Error> {
    if arguments.get("atTime").is_some() {
        return Err(wrong("atTime", "is not supported"));
    }
    let when = arguments.text_opt("when")?.unwrap_or("h");
    let interval = Interval::new(when, arguments.number("interval", 1)?);
    let interval = interval.map_err(|what| wrong("when", &format!("or `interval`: {what}")))?;
    let count = arguments.number("backupCount", 0)?;
    let zone = if arguments.flag("utc")? { TimeZone::UTC } else { TimeZone::system() };
    Ok(TimedRotation::new(interval, count, zone))
}
