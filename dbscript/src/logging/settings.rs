//! Log settings of the config file.

use std::path::{Path, PathBuf};

use log::LevelFilter;

use super::files::size_rotation::SizeRotation;
use super::identity::{HostAddress, Identity};
use super::layout::Layout;
use super::layout::format::{DEFAULT_FORMAT, Format};
use crate::config::key::Key;
use crate::config::{Config, expand_home};
use crate::error::Error;

pub(crate) const LOGFILE: Key =
    Key::optional("logfile", "File to log to, besides standard error. No default.");
pub(crate) const LOG_SIZE: Key = Key::with_default(
    "log_size",
    "10485760",
    "Size at which the log file is rotated, in bytes or with a unit such as 10M; 0: never. Defaults to \
     10485760.",
);
pub(crate) const LOG_COUNT: Key = Key::with_default(
    "log_count",
    "3",
    "Number of old log files to keep; 0: the log file is never rotated. Defaults to 3.",
);
pub(crate) const LOG_FORMAT: Key = Key::with_default(
    "log_format",
    "text",
    "Format of the log file and of standard error: text, or json for one object a line. Defaults to text.",
);
pub(crate) const USE_SKYLOG: Key = Key::with_default(
    "use_skylog",
    "0",
    "1: log as skylog.ini says, except on a terminal; 2: always; 0: never. Defaults to 0.",
);
pub(crate) const SKYLOG_LOCATIONS: Key = Key::with_default(
    "skylog_locations",
    "skylog.ini, ~/.skylog.ini, /etc/skylog.ini",
    "Places of skylog.ini; the first that exists is used. \
     Defaults to skylog.ini, ~/.skylog.ini, /etc/skylog.ini.",
);
/// Formats of lines and times, for standard error and for the file, and each also for -v.
pub(crate) const FORMAT_KEYS: [Key; 8] = [
    Key::optional(
        "logfmt_console",
        "Format of lines on standard error, with every % written twice. \
         Defaults to %%(asctime)s %%(process)s %%(levelname)s %%(message)s.",
    ),
    Key::optional("logdatefmt_console", "Format of their time, as strftime takes it. No default."),
    Key::optional("logfmt_console_verbose", "The same with -v. Defaults to logfmt_console."),
    Key::optional("logdatefmt_console_verbose", "The same with -v. Defaults to logdatefmt_console."),
    Key::optional(
        "logfmt_file",
        "Format of lines in the log file, with every % written twice. \
         Defaults to %%(asctime)s %%(process)s %%(levelname)s %%(message)s.",
    ),
    Key::optional("logdatefmt_file", "Format of their time, as strftime takes it. No default."),
    Key::optional("logfmt_file_verbose", "The same with -v. Defaults to logfmt_file."),
    Key::optional("logdatefmt_file_verbose", "The same with -v. Defaults to logdatefmt_file."),
];

/// The log settings of a config file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogSettings {
    pub(super) job_name: String,
    pub(super) service_name: String,
    pub(super) console: Layouts,
    pub(super) file: Option<LogFileSettings>,
    skylog: UseSkylog,
    locations: Vec<String>,
}

/// The settings of the log file that `logfile` names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogFileSettings {
    pub(super) path: PathBuf,
    pub(super) rotation: SizeRotation,
    pub(super) layouts: Layouts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum UseSkylog {
    #[default]
    Never,
    /// Unless standard output is a terminal.
    InBackground,
    Always,
}

impl LogSettings {
    /// Reads the settings; `own` returns the program's variant of a key.
    ///
    /// # Errors
    ///
    /// Usage errors that name file, section and key.
    pub(crate) fn read(config: &Config, own: &impl Fn(Key) -> Key) -> Result<LogSettings, Error> {
        Ok(LogSettings {
            job_name: config.job_name()?,
            service_name: config.service_name()?,
            console: Layouts::read(config, own, &FORMAT_KEYS[..4])?,
            file: file(config, own)?,
            skylog: use_skylog(config, &own(USE_SKYLOG))?,
            locations: locations(config, &own(SKYLOG_LOCATIONS))?,
        })
    }

    /// Returns the path of the log file.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// Makes the identity that the log shows.
    pub(super) fn identity(&self, address: HostAddress) -> Identity {
        let mut layouts = self.file.iter().map(|file| &file.layouts).chain([&self.console]);
        let resolves = address == HostAddress::Resolved || layouts.any(Layouts::show_address);
        let address = if resolves { HostAddress::Resolved } else { HostAddress::IfShown };
        Identity::of(&self.job_name, &self.service_name, address)
    }

    /// Returns the path of the skylog file, or `None` if the settings do not use one.
    ///
    /// # Errors
    ///
    /// A usage error that lists the locations if there is no file at any of them.
    pub(super) fn skylog_file(&self, is_terminal: bool) -> Result<Option<PathBuf>, Error> {
        match self.skylog {
            UseSkylog::Never => return Ok(None),
            UseSkylog::InBackground if is_terminal => return Ok(None),
            UseSkylog::InBackground | UseSkylog::Always => {}
        }
        let mut paths = self.locations.iter().filter_map(|place| expand_home(place));
        let found = paths.find(|path| path.is_file());
        found.map(Some).ok_or_else(|| {
            let places: Vec<String> = self.locations.iter().map(|place| format!("`{place}`")).collect();
            Error::usage(format!("no skylog file: none of {} exists", places.join(", ")))
        })
    }
}

fn file(config: &Config, own: &impl Fn(Key) -> Key) -> Result<Option<LogFileSettings>, Error> {
    let size = config.size(&own(LOG_SIZE))?;
    let count = config.parsed(&own(LOG_COUNT))?;
    let layouts = Layouts::read(config, own, &FORMAT_KEYS[4..])?;
    let path = config.file(&own(LOGFILE))?;
    Ok(path.map(|path| LogFileSettings { path, rotation: SizeRotation { size, count }, layouts }))
}

fn use_skylog(config: &Config, key: &Key) -> Result<UseSkylog, Error> {
    match config.get(key)?.trim() {
        "0" => Ok(UseSkylog::Never),
        "1" => Ok(UseSkylog::InBackground),
        "2" => Ok(UseSkylog::Always),
        other => Err(config.must_be(key, other, "0, 1 or 2")),
    }
}

fn locations(config: &Config, key: &Key) -> Result<Vec<String>, Error> {
    Ok(config.list(key)?.into_iter().filter(|place| !place.is_empty()).collect())
}

/// The layouts of a handler, without and with -v.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layouts {
    normal: Layout,
    verbose: Layout,
}

impl Layouts {
    /// Reads four keys: a format and its date format, and the same two for -v.
    fn read(config: &Config, own: &impl Fn(Key) -> Key, keys: &[Key]) -> Result<Layouts, Error> {
        let format_key = own(LOG_FORMAT);
        match config.get(&format_key)?.as_str() {
            "text" => {}
            "json" => return Ok(Layouts { normal: Layout::Json, verbose: Layout::Json }),
            other => return Err(config.must_be(&format_key, other, "text or json")),
        }
        let mut values = Vec::new();
        for key in keys {
            values.push(config.get_opt(&own(*key))?);
        }
        let normal =
            |index: usize, default: &str| values[index].clone().unwrap_or_else(|| default.to_owned());
        let (format, date) = (normal(0, DEFAULT_FORMAT), normal(1, ""));
        let parse = |key: &Key, format: &str, date: &str| {
            Format::parse(format, date)
                .map(Layout::Text)
                .map_err(|what| config.invalid(key, format).caused_by(Error::usage(what)))
        };
        Ok(Layouts {
            normal: parse(&keys[0], &format, &date)?,
            verbose: parse(&keys[2], &normal(2, &format), &normal(3, &date))?,
        })
    }

    fn show_address(&self) -> bool {
        self.normal.shows_address() || self.verbose.shows_address()
    }

    pub(super) fn at(&self, level: LevelFilter) -> Layout {
        if level > LevelFilter::Info { self.verbose.clone() } else { self.normal.clone() }
    }
}
