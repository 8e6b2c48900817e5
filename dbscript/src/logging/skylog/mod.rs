//! `skylog.ini`: a log configuration in the format of Python's `logging.config.fileConfig`.

mod arguments;
mod classes;
pub(super) mod files;
mod handlers;
mod literal;
mod literal_string;
mod names;
mod outbox;
mod receivers;
mod value;

use std::fmt::Display;
use std::path::Path;

use log::LevelFilter;

use crate::config::ini::{self, Sections};
use crate::config::{CONFIG_LIMIT, interpolate};
use crate::error::{Error, ErrorKind};
use crate::files::read_text_file;
use crate::logging::handlers::Handler;
use crate::logging::layout::Layout;
use crate::logging::layout::format::Format;
use crate::logging::level;
use crate::logging::logger::{Logger, NamedLogger};
use crate::logging::scope::Scope;
use arguments::Arguments;

/// Reads the file and adds its handlers and loggers.
///
/// # Errors
///
/// Errors with file, section and key. A usage error if the file cannot be read or is invalid.
pub(super) fn configure(logger: &mut Logger, path: &Path) -> Result<(), Error> {
    let text = read_text_file(path, CONFIG_LIMIT).map_err(|error| {
        Error::usage(format!("cannot read skylog file `{}`", path.display())).caused_by(error)
    })?;
    let sections = ini::read(&text)
        .map_err(|reason| Error::usage(format!("skylog file `{}`: {reason}", path.display())))?;
    let identity = logger.identity();
    let names = [("job_name", &identity.job_name), ("service_name", &identity.service_name)];
    // A percent sign in a name is literal.
    let names = names.map(|(name, value)| (name, value.replace('%', "%%")));
    File { path, sections, names }.configure(logger)
}

struct File<'a> {
    path: &'a Path,
    sections: Sections,
    names: [(&'static str, String); 2],
}

/// Formats or handlers of a skylog file, by name.
type ByName<T> = Vec<(String, T)>;

impl File<'_> {
    fn configure(&self, logger: &mut Logger) -> Result<(), Error> {
        let formats = self.formats()?;
        let handlers = self.handlers(logger, &formats)?;
        for name in self.loggers()? {
            logger.add_logger(self.logger(&name, &logger.identity().job_name, &handlers)?);
        }
        Ok(())
    }

    fn formats(&self) -> Result<ByName<Format>, Error> {
        let names = self.list("formatters", "keys")?;
        names.into_iter().map(|name| self.format(&name).map(|format| (name, format))).collect()
    }

    fn format(&self, name: &str) -> Result<Format, Error> {
        let section = format!("formatter_{name}");
        self.require(&section)?;
        if self.raw(&section, "style").is_some_and(|style| style.trim() != "%") {
            return Err(self.wrong(&section, "style", "only `%` is supported"));
        }
        if let Some(class) = self.value(&section, "class")?
            && !["", "logging.Formatter"].contains(&class.trim())
        {
            return Err(self.wrong(&section, "class", format!("class `{class}` is not supported")));
        }
        let raw = |key| self.raw(&section, key).unwrap_or_default();
        Format::parse(&raw("format"), &raw("datefmt")).map_err(|what| self.wrong(&section, "format", what))
    }

    fn handlers(&self, logger: &mut Logger, formats: &ByName<Format>) -> Result<ByName<usize>, Error> {
        let mut made = ByName::new();
        for name in self.list("handlers", "keys")? {
            let section = format!("handler_{name}");
            self.require(&section)?;
            let level = self.level(&section)?.unwrap_or(LevelFilter::Trace);
            let format = match self.value(&section, "formatter")?.filter(|name| !name.is_empty()) {
                Some(name) => find(formats, &name).ok_or_else(|| {
                    self.wrong(&section, "formatter", format!("`{name}` is not in the keys of [formatters]"))
                })?,
                None => Format::message(),
            };
            let handler = self.handler(&section, logger)?;
            let layout = if handler.is_framed() { Layout::Framed(format) } else { Layout::Text(format) };
            made.push((name, logger.add(handler, level, layout)));
        }
        Ok(made)
    }

    fn handler(&self, section: &str, logger: &Logger) -> Result<Box<dyn Handler>, Error> {
        let name = self.required(section, "class")?;
        let class = classes::find(&name)
            .ok_or_else(|| self.wrong(section, "class", format!("class `{name}` is not supported")))?;
        let args = self.value(section, "args")?.unwrap_or_else(|| "()".to_owned());
        let kwargs = self.value(section, "kwargs")?.unwrap_or_else(|| "{}".to_owned());
        let arguments = Arguments::read(&args, &kwargs, class.parameters)
            .map_err(|(key, what)| self.wrong(section, key, what))?;
        (class.make)(&arguments, logger.identity()).map_err(|error| {
            let place = self.place(section, "args");
            let step =
                if error.kind() == ErrorKind::Usage { Error::usage(place) } else { Error::failed(place) };
            step.caused_by(error)
        })
    }

    /// Returns the names of the loggers, which must include `root`.
    fn loggers(&self) -> Result<Vec<String>, Error> {
        let names = self.list("loggers", "keys")?;
        if names.iter().any(|name| name == "root") {
            return Ok(names);
        }
        Err(self.wrong("loggers", "keys", "`root` is missing"))
    }

    fn logger(&self, name: &str, job_name: &str, handlers: &ByName<usize>) -> Result<NamedLogger, Error> {
        let section = format!("logger_{name}");
        self.require(&section)?;
        let unknown = |name: &str| {
            self.wrong(&section, "handlers", format!("`{name}` is not in the keys of [handlers]"))
        };
        let mut outputs = Vec::new();
        for handler in self.list(&section, "handlers")? {
            outputs.push(find(handlers, &handler).ok_or_else(|| unknown(&handler))?);
        }
        let level = self.level(&section)?;
        if name == "root" {
            return Ok(NamedLogger { scope: Scope::Root, level, propagate: false, outputs });
        }
        let scope = Scope::of(&self.required(&section, "qualname")?, job_name);
        Ok(NamedLogger { scope, level, propagate: self.propagate(&section)?, outputs })
    }

    fn propagate(&self, section: &str) -> Result<bool, Error> {
        let Some(value) = self.value(section, "propagate")? else { return Ok(true) };
        let number: Result<i64, _> = value.trim().parse();
        number
            .map(|number| number != 0)
            .map_err(|_| self.wrong(section, "propagate", format!("`{value}` is neither 0 nor 1")))
    }

    /// Reads a level; `NOTSET` counts as no level.
    fn level(&self, section: &str) -> Result<Option<LevelFilter>, Error> {
        let value = self.value(section, "level")?.filter(|level| level != "NOTSET");
        value
            .map(|name| {
                level::parse(&name)
                    .ok_or_else(|| self.wrong(section, "level", format!("`{name}` is no level")))
            })
            .transpose()
    }

    fn list(&self, section: &str, key: &str) -> Result<Vec<String>, Error> {
        let list = self.required(section, key)?;
        Ok(list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
    }

    fn require(&self, section: &str) -> Result<(), Error> {
        if self.sections.contains_key(section) {
            return Ok(());
        }
        Err(Error::usage(format!("skylog file `{}`: section [{section}] is missing", self.path.display())))
    }

    fn required(&self, section: &str, key: &str) -> Result<String, Error> {
        self.require(section)?;
        self.value(section, key)?.ok_or_else(|| self.wrong(section, key, "it is not set"))
    }

    /// Returns a value with `%(name)s` interpolated.
    fn value(&self, section: &str, key: &str) -> Result<Option<String>, Error> {
        let lookup = |name: &str| self.raw(section, name);
        self.raw(section, key)
            .map(|value| interpolate::expand(&value, &lookup).map_err(|what| self.wrong(section, key, what)))
            .transpose()
    }

    fn raw(&self, section: &str, key: &str) -> Option<String> {
        let places = [section, "DEFAULT"].into_iter();
        let found = places.filter_map(|name| self.sections.get(name)?.get(key)).next().cloned();
        let built_in = || self.names.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        found.or_else(built_in)
    }

    fn place(&self, section: &str, key: &str) -> String {
        format!("skylog file `{}`, section [{section}], key {key}", self.path.display())
    }

    fn wrong(&self, section: &str, key: &str, what: impl Display) -> Error {
        Error::usage(format!("{}: {what}", self.place(section, key)))
    }
}

fn find<T: Clone>(made: &ByName<T>, name: &str) -> Option<T> {
    made.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}
