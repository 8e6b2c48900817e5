//! The config file: one section of an INI file, with defaults, overrides and typed reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use nix::unistd::User;

use crate::key::{Key, Presence};
use crate::{Error, ini, interpolate};

/// The section whose keys are defaults of all others.
const DEFAULTS: &str = "DEFAULT";

/// The values of a program's section. Skytools: `skytools.Config`.
pub struct Config {
    file: PathBuf,
    section: String,
    values: BTreeMap<String, String>,
    defaults: BTreeMap<String, String>,
    built_in: BTreeMap<String, String>,
    set: BTreeMap<String, String>,
}

impl Config {
    /// Reads the first of `sections` that the file has. `set` overrides the file.
    ///
    /// # Errors
    ///
    /// Usage errors that name the file: it cannot be read, is no INI file, or has none of the sections.
    pub fn load(file: &Path, sections: &[&str], set: &[(String, String)]) -> Result<Config, Error> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::usage(format!("cannot read config file `{}`", file.display())).caused_by(error)
        })?;
        Config::parse(file, &text, sections, set)
    }

    fn parse(file: &Path, text: &str, sections: &[&str], set: &[(String, String)]) -> Result<Config, Error> {
        let broken = |what: String| Error::usage(format!("config file `{}`: {what}", file.display()));
        let mut found = ini::read(text).map_err(broken)?;
        let defaults = found.remove(DEFAULTS).unwrap_or_default();
        let Some(section) = sections.iter().find(|section| found.contains_key(**section)) else {
            let there: Vec<String> = found.keys().map(|name| format!("[{name}]")).collect();
            let there = if there.is_empty() { "no section".to_owned() } else { there.join(", ") };
            return Err(broken(format!("section [{}] is missing; the file has {there}", sections[0])));
        };
        let values = found.remove(*section).unwrap_or_default();
        Ok(Config {
            file: file.to_owned(),
            section: (*section).to_owned(),
            values,
            defaults,
            built_in: built_in(file, sections[0]),
            set: set.iter().map(|(key, value)| (key.to_lowercase(), value.clone())).collect(),
        })
    }

    /// Returns the job's name: the key `job_name`, else the file's base name.
    ///
    /// # Errors
    ///
    /// As [`get`](Config::get).
    pub fn job_name(&self) -> Result<String, Error> {
        self.lookup("job_name").map(|name| name.unwrap_or_default())
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    ///
    /// Usage errors that name file, section and key: it is required and not set or empty, or refers to what
    /// is not set.
    pub fn get(&self, key: &Key) -> Result<String, Error> {
        let value = self.get_opt(key)?.filter(|value| key.value != Presence::Required || !value.is_empty());
        value.ok_or_else(|| self.error(&format!("config value not set: {}", key.name)))
    }

    /// Returns the value of a key, its default, or `None` when it has neither.
    ///
    /// # Errors
    ///
    /// As [`get`](Config::get).
    pub fn get_opt(&self, key: &Key) -> Result<Option<String>, Error> {
        for name in key.names() {
            if let Some(value) = self.lookup(name)? {
                return Ok(Some(value));
            }
        }
        match key.value {
            Presence::Default(default) => self.expand(key.name, default).map(Some),
            Presence::Optional | Presence::Required => Ok(None),
        }
    }

    /// Returns a number, or any other type that parses from a string.
    ///
    /// # Errors
    ///
    /// As [`get`](Config::get), and when the value does not parse.
    pub fn parsed<T: FromStr>(&self, key: &Key) -> Result<T, Error> {
        let value = self.get(key)?;
        value.trim().parse().map_err(|_| self.invalid(key, &value))
    }

    /// Returns a number, or `None` when the key is neither set nor has a default.
    ///
    /// # Errors
    ///
    /// As [`parsed`](Config::parsed).
    pub fn parsed_opt<T: FromStr>(&self, key: &Key) -> Result<Option<T>, Error> {
        match self.get_opt(key)? {
            Some(_) => self.parsed(key).map(Some),
            None => Ok(None),
        }
    }

    /// Returns a truth value: `1 yes true on` or `0 no false off`, in any case.
    ///
    /// # Errors
    ///
    /// As [`parsed`](Config::parsed).
    pub fn boolean(&self, key: &Key) -> Result<bool, Error> {
        let value = self.get(key)?;
        match value.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(true),
            "0" | "no" | "false" | "off" => Ok(false),
            _ => Err(self.invalid(key, &value)),
        }
    }

    /// Returns a time given in seconds, which may have a fraction.
    ///
    /// # Errors
    ///
    /// As [`parsed`](Config::parsed), and when the time is negative.
    pub fn seconds(&self, key: &Key) -> Result<Duration, Error> {
        let seconds: f64 = self.parsed(key)?;
        Duration::try_from_secs_f64(seconds).map_err(|_| self.invalid(key, &seconds.to_string()))
    }

    /// Returns a path, with a leading `~` or `~user` replaced by the home folder; an empty one is not set.
    ///
    /// # Errors
    ///
    /// As [`get`](Config::get), and when the user has no home folder.
    pub fn file(&self, key: &Key) -> Result<Option<PathBuf>, Error> {
        match self.get_opt(key)? {
            Some(path) if !path.is_empty() => {
                expand_home(&path).map(Some).ok_or_else(|| self.invalid(key, &path))
            }
            _ => Ok(None),
        }
    }

    /// Makes the error for a value that means nothing.
    pub fn invalid(&self, key: &Key, value: &str) -> Error {
        self.error(&format!("invalid value `{value}` of key {}", key.name))
    }

    /// Makes the error for a value that must not be shown.
    pub(crate) fn broken(&self, key: &Key) -> Error {
        self.error(&format!("invalid value of key {}", key.name))
    }

    /// Returns the keys of the section that no key of `known` reads and no other value refers to, each with
    /// the known name that is spelled most alike.
    pub(crate) fn unknown<'k>(&self, known: &'k [Key]) -> Vec<(String, Option<&'k str>)> {
        let names: BTreeSet<&str> = known.iter().flat_map(Key::names).collect();
        let all = self.values.values().chain(self.defaults.values()).chain(self.set.values());
        let referred: BTreeSet<String> = all.flat_map(|value| interpolate::references(value)).collect();
        self.values
            .keys()
            .chain(self.set.keys())
            .filter(|key| !names.contains(key.as_str()) && !referred.contains(*key))
            .map(|key| (key.clone(), nearest(key, known)))
            .collect()
    }

    fn lookup(&self, name: &str) -> Result<Option<String>, Error> {
        self.raw(name).map(|value| self.expand(name, &value)).transpose()
    }

    fn raw(&self, name: &str) -> Option<String> {
        let places = [&self.set, &self.values, &self.defaults, &self.built_in];
        places.into_iter().find_map(|place| place.get(name)).cloned()
    }

    fn expand(&self, name: &str, value: &str) -> Result<String, Error> {
        // The value of a set `job_name` may refer to the built-in one.
        let lookup = |other: &str| {
            if other == name { self.built_in.get(other).cloned() } else { self.raw(other) }
        };
        interpolate::expand(value, &lookup).map_err(|what| self.error(&format!("key {name}: {what}")))
    }

    fn error(&self, what: &str) -> Error {
        Error::usage(format!("{what} (section [{}] of `{}`)", self.section, self.file.display()))
    }
}

/// Shows where the values come from, not the values: some are secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("file", &self.file)
            .field("section", &self.section)
            .field("keys", &self.values.keys())
            .finish_non_exhaustive()
    }
}

fn built_in(file: &Path, service: &str) -> BTreeMap<String, String> {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let host = nix::unistd::gethostname().unwrap_or_default();
    // A percent sign in a name stands for itself.
    let pairs = [
        ("job_name", text(file.file_stem())),
        ("service_name", service.to_owned()),
        ("host_name", text(Some(&host))),
        ("config_dir", text(Some(folder.as_os_str()))),
        ("config_file", text(Some(file.as_os_str()))),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.replace('%', "%%"))).collect()
}

pub(crate) fn expand_home(path: &str) -> Option<PathBuf> {
    let Some(rest) = path.strip_prefix('~') else {
        return Some(PathBuf::from(path));
    };
    let (user, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let home =
        if user.is_empty() { std::env::home_dir()? } else { User::from_name(user).ok().flatten()?.dir };
    Some(home.join(rest))
}

fn nearest<'k>(name: &str, known: &'k [Key]) -> Option<&'k str> {
    let names = known.iter().flat_map(Key::names);
    let (distance, name) = names.map(|known| (strsim::damerau_levenshtein(name, known), known)).min()?;
    (distance <= 3).then_some(name)
}

#[cfg(test)]
mod tests;
