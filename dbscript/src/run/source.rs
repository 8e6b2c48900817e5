//! The source of a program's settings: a config file, or a connection string alone.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::database::conninfo;
use crate::database::databases::Databases;
use crate::error::Error;
use crate::run::args::Switches;
use crate::run::description::Description;
use crate::text::suggestion::suggest;

/// The environment variables that name a database, in order of precedence, with their keywords.
const VARIABLES: [(&str, &str); 2] = [("PGSERVICE", "service"), ("PGDATABASE", "dbname")];

/// The source of a program's settings.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum Source {
    File(PathBuf),
    /// The connection string of the database `key`. `origin` is the switch or the variable that names the database.
    Database {
        key: &'static str,
        conninfo: String,
        origin: String,
    },
}

impl Source {
    /// Returns the source that the command line selects, or else the environment. `variable` returns environment
    /// variables.
    ///
    /// # Errors
    ///
    /// A usage error if there is no source or more than one, or if a switch requires a config file and there is none.
    /// Messages contain no connection string.
    pub(crate) fn select(
        description: &Description,
        switches: &Switches,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Source, Error> {
        let request = Request { description, switches };
        let key = description.file_replacement;
        match (switches.config_file(), key.and_then(|key| Some((key, switches.value(key)?)))) {
            (Some(file), Some((key, _))) => Err(request.both(file, key)),
            (Some(file), None) => request.file(file),
            (None, Some((key, conninfo))) => request.database(key, conninfo),
            (None, None) if switches.needs_file().is_some() => Err(request.missing()),
            (None, None) => {
                key.and_then(|key| from_environment(key, variable)).ok_or_else(|| request.missing())
            }
        }
    }

    /// Reads the configuration. `set` overrides its values.
    ///
    /// # Errors
    ///
    /// Fails as [`Config::load`] does.
    pub(crate) fn load(&self, sections: &[&str], set: &[(String, String)]) -> Result<Config, Error> {
        match self {
            Source::File(file) => Config::load(file, sections, set),
            Source::Database { key, conninfo, origin } => {
                let section = sections.first().unwrap_or(&"");
                Config::without_file(section, (*key, conninfo.as_str()), origin, set)
            }
        }
    }
}

/// The command line of a program.
struct Request<'a> {
    description: &'a Description,
    switches: &'a Switches,
}

impl Request<'_> {
    fn file(&self, file: &Path) -> Result<Source, Error> {
        let program = self.description.name();
        if let Some(key) = self.description.file_replacement
            && is_conninfo(file)
        {
            let command = if self.description.commands.is_empty() { "" } else { " COMMAND" };
            return Err(Error::usage(format!(
                "the first argument is a connection string and no config file; \
                 run `{program} --{key} CONNINFO{command}`"
            )));
        }
        if let Some(command) = self.misspelled(file) {
            let file = file.display();
            return Err(Error::usage(format!(
                "config file `{file}` does not exist; did you mean the command `{command}`?"
            )));
        }
        Ok(Source::File(file.to_owned()))
    }

    /// Returns the command whose misspelled name stands in the place of the config file, if any.
    fn misspelled(&self, file: &Path) -> Option<&'static str> {
        if self.switches.command().is_some() || file.extension().is_some() || file.exists() {
            return None;
        }
        suggest(file.to_str()?, self.description.commands.iter().map(|command| command.name()))
    }

    fn database(&self, key: &'static str, conninfo: &str) -> Result<Source, Error> {
        let option = format!("--{key}");
        if let Some(switch) = self.switches.needs_file() {
            let usage = self.usage(switch);
            return Err(Error::usage(format!(
                "{switch} requires a config file with `pidfile`, which {option} cannot replace; run {usage}"
            )));
        }
        if self.has_stray_conninfo() {
            return Err(in_quotes(&option));
        }
        if self.switches.set()?.iter().any(|(set, _)| set.eq_ignore_ascii_case(key)) {
            return Err(Error::usage(format!("{option} and --set {key} exclude each other")));
        }
        check(conninfo, &option)?;
        Ok(Source::Database { key, conninfo: conninfo.to_owned(), origin: option })
    }

    /// Makes the error of a config file and a switch that replaces it.
    fn both(&self, file: &Path, key: &str) -> Error {
        let option = format!("--{key}");
        if is_conninfo(file) {
            return in_quotes(&option);
        }
        let file = file.display();
        Error::usage(format!("config file `{file}` and {option} exclude each other; give one of them"))
    }

    /// Returns true if a part of a connection string stands in the place of the command. It may be a password, which
    /// the error of an unknown command would show.
    fn has_stray_conninfo(&self) -> bool {
        let is_unknown = !self.description.commands.is_empty() && self.switches.command().is_none();
        is_unknown && self.switches.arguments().first().is_some_and(|word| is_conninfo(Path::new(word)))
    }

    /// Makes the error of a missing config file.
    fn missing(&self) -> Error {
        let program = self.description.name();
        if let Some(switch) = self.switches.needs_file() {
            let usage = self.usage(switch);
            return Error::usage(format!("{switch} requires a config file with `pidfile`; run {usage}"));
        }
        let Some(command) = self.switches.command().map(|command| command.name()) else {
            return Error::usage(format!(
                "no config file given; `{program} --ini` prints a sample, `{program} --help` lists the switches"
            ));
        };
        let or_database = match self.description.file_replacement {
            Some(key) => format!(" or `{program} --{key} CONNINFO {command}`, or set PGDATABASE"),
            None => String::new(),
        };
        Error::usage(format!(
            "no config file given: `{command}` is a command; run `{program} FILE {command}`{or_database}"
        ))
    }

    /// Returns the command line with a switch that requires a config file.
    fn usage(&self, switch: &str) -> String {
        let command = self.switches.command().map(|command| format!(" {}", command.name()));
        format!("`{} {switch} FILE{}`", self.description.name(), command.unwrap_or_default())
    }
}

/// Returns true if the place of the config file contains a connection string.
fn is_conninfo(file: &Path) -> bool {
    let text = file.to_string_lossy();
    conninfo::is_uri(&text) || (text.contains('=') && !file.exists())
}

/// Makes the error of a connection string that the shell has split into several words.
fn in_quotes(option: &str) -> Error {
    Error::usage(format!("{option} takes one connection string; put it in quotes"))
}

/// Checks a connection string on the command line. An empty one, as from a shell variable that is not set, would
/// select the database of the user's name.
fn check(conninfo: &str, option: &str) -> Result<(), Error> {
    let expected = "a connection string such as `dbname=queries` or `postgresql://host/queries`";
    if conninfo.trim().is_empty() {
        return Err(Error::usage(format!("{option} is empty; it must be {expected}")));
    }
    if !conninfo.contains('=') && !conninfo::is_uri(conninfo) {
        return Err(Error::usage(format!("{option} must be {expected}")));
    }
    Databases::check(conninfo)
        .map_err(|error| Error::usage(format!("invalid value of {option}")).caused_by(error))
}

/// Returns the database that the environment names, if it does.
fn from_environment(key: &'static str, variable: impl Fn(&str) -> Option<String>) -> Option<Source> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (name, keyword, value) =
        VARIABLES.into_iter().find_map(|(name, keyword)| Some((name, keyword, set(name)?)))?;
    let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
    Some(Source::Database { key, conninfo: format!("{keyword}='{quoted}'"), origin: name.to_owned() })
}

#[cfg(test)]
mod tests;
