//! The config file: one section of an INI file, with defaults, overrides and typed reads.

pub(crate) mod ini;
pub(crate) mod ini_template;
mod input;
pub(crate) mod interpolate;
pub(crate) mod key;
mod typed;
mod unknown;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

#[cfg(feature = "skylog")]
pub(crate) use self::input::CONFIG_LIMIT;
pub(crate) use self::typed::expand_home;
use crate::config::ini::Sections;
use crate::config::interpolate::Syntax;
use crate::config::key::{Key, Presence};
use crate::error::Error;

/// The section whose keys are defaults of all other sections.
const DEFAULTS: &str = "DEFAULT";

/// The key with which Skytools 3 selects the syntax `${name}` for references.
const FORMAT: &str = "config_format";

/// The values of a program's section. Skytools: `skytools.Config`.
pub struct Config {
    /// The section and the file, for messages; or the origin of a configuration without a file.
    place: String,
    section: String,
    set: Values,
    values: Values,
    defaults: Values,
    built_in: Values,
    /// The other sections, which values may refer to.
    others: Sections,
    /// The syntax of references in the file's values.
    syntax: Syntax,
    /// The keys that the program has declared, if any.
    declared: Option<Vec<Key>>,
}

/// Values by key, in lower case.
type Values = BTreeMap<String, String>;

impl Config {
    /// Reads the first of `sections` that the file has. `set` overrides the file.
    ///
    /// # Errors
    ///
    /// Fails as [`from_text`](Config::from_text) does, and with a usage error that names the file if the file cannot be
    /// read.
    pub fn load(file: &Path, sections: &[&str], set: &[(String, String)]) -> Result<Config, Error> {
        let bytes = input::read(file).map_err(|error| {
            Error::usage(format!("cannot read config file `{}`", file.display())).caused_by(error)
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            Error::usage(format!("config file `{}`: line {line}: not UTF-8", file.display()))
        })?;
        Config::from_text(file, &text, sections, set)
    }

    /// Reads the first of `sections` that `text` has. `text` counts as the content of `file`, which need not exist.
    ///
    /// ```
    /// use std::path::Path;
    /// use dbscript::{Config, Key};
    ///
    /// const QUEUE: Key = Key::required("queue_name", "Queue to read from.");
    ///
    /// let text = "[mailer]\nqueue_name = %(job_name)s_queue\n";
    /// let config = Config::from_text(Path::new("news.ini"), text, &["mailer"], &[])?;
    /// assert_eq!(config.get(&QUEUE)?, "news_queue");
    /// # Ok::<(), dbscript::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A usage error that names the file, and the line or section, if the text is no INI file, has none of the
    /// sections, or has an unsupported `config_format`.
    pub fn from_text(
        file: &Path,
        text: &str,
        sections: &[&str],
        set: &[(String, String)],
    ) -> Result<Config, Error> {
        let broken = |what: String| Error::usage(format!("config file `{}`: {what}", file.display()));
        let mut found = ini::read(text).map_err(broken)?;
        let defaults = found.remove(DEFAULTS).unwrap_or_default();
        let Some(section) = sections.iter().find(|section| found.contains_key(**section)) else {
            let there: Vec<String> = found.keys().map(|name| format!("[{name}]")).collect();
            let there = if there.is_empty() { "no section".to_owned() } else { there.join(", ") };
            let wanted = sections.first().unwrap_or(&"");
            return Err(broken(format!("section [{wanted}] is missing; the file has {there}")));
        };
        let mut config = Config {
            place: format!("section [{section}] of `{}`", file.display()),
            section: (*section).to_owned(),
            set: lower_case(set),
            values: found.remove(*section).unwrap_or_default(),
            defaults,
            built_in: Values::new(),
            others: found,
            syntax: Syntax::Percent,
            declared: None,
        };
        config.syntax = config.format()?;
        config.built_in = built_in(Some(file), section, config.syntax);
        Ok(config)
    }

    /// Makes the configuration of a program without a config file: `database` is a key with its connection string,
    /// and `origin` the place that names the database. `set` overrides the defaults of the other keys.
    ///
    /// # Errors
    ///
    /// A usage error if `set` changes `config_format`.
    pub(crate) fn without_file(
        section: &str,
        database: (&str, &str),
        origin: &str,
        set: &[(String, String)],
    ) -> Result<Config, Error> {
        let (key, conninfo) = database;
        let config = Config {
            place: format!("no config file, database from {origin}"),
            section: section.to_owned(),
            set: lower_case(set),
            values: Values::from([(key.to_lowercase(), Syntax::Percent.quote(conninfo))]),
            defaults: Values::new(),
            built_in: built_in(None, section, Syntax::Percent),
            others: Sections::new(),
            syntax: Syntax::Percent,
            declared: None,
        };
        config.format()?;
        Ok(config)
    }

    /// Returns the syntax of references that `config_format` selects. As in Skytools, the value of this key is read
    /// without interpolation. `--set` cannot change it.
    fn format(&self) -> Result<Syntax, Error> {
        let written =
            self.values.get(FORMAT).or_else(|| self.defaults.get(FORMAT)).map_or("1", String::as_str);
        let syntax = match written {
            "1" => Syntax::Percent,
            "2" => Syntax::Dollar,
            _ => return Err(self.error("invalid value of key config_format: it must be 1 or 2")),
        };
        match self.set.get(FORMAT) {
            Some(set) if set != written => Err(self.error(
                "--set cannot change config_format, the format of the whole file; set it in the file",
            )),
            _ => Ok(syntax),
        }
    }

    /// Declares the keys that the program reads. From then on, a debug build panics if the program reads another key
    /// (DESIGN.md, D6).
    pub(crate) fn declare(mut self, keys: Vec<Key>) -> Config {
        self.declared = Some(keys);
        self
    }

    /// Returns the job's name, `job_name`. Defaults to the file's base name.
    ///
    /// # Errors
    ///
    /// Fails as [`get`](Config::get) does.
    pub fn job_name(&self) -> Result<String, Error> {
        self.built_in_value("job_name")
    }

    /// Returns the service's name, `service_name`. Defaults to the section's name.
    ///
    /// # Errors
    ///
    /// Fails as [`get`](Config::get) does.
    pub fn service_name(&self) -> Result<String, Error> {
        self.built_in_value("service_name")
    }

    /// Returns a built-in value, or the value with which the file replaces it.
    fn built_in_value(&self, name: &str) -> Result<String, Error> {
        self.expand(name, self.raw(name).unwrap_or_default())
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    ///
    /// A usage error that names file, section and key if the key has no value, if the key is required and its value is
    /// empty, or if a reference in the value is not set.
    pub fn get(&self, key: &Key) -> Result<String, Error> {
        let value = self.get_opt(key)?.filter(|value| key.value != Presence::Required || !value.is_empty());
        value.ok_or_else(|| self.error(&format!("config value not set: {}", key.name)))
    }

    /// Returns the value of a key or its default, or `None` if it has neither.
    ///
    /// # Errors
    ///
    /// Fails as [`get`](Config::get) does.
    pub fn get_opt(&self, key: &Key) -> Result<Option<String>, Error> {
        self.check_declared(key);
        // The place of a value counts before its name (DESIGN.md, D79).
        let find = |place: &Values| key.names().find(|name| place.contains_key(&name.to_lowercase()));
        let set = self.places().into_iter().find_map(|place| Some((find(place)?, place)));
        match set {
            Some((name, place)) => self.expand(name, &place[&name.to_lowercase()]).map(Some),
            None => self.default(key),
        }
    }

    fn default(&self, key: &Key) -> Result<Option<String>, Error> {
        match self.declared(key).value {
            Presence::Default(default) => self.expand_as(Syntax::Percent, key.name, default).map(Some),
            Presence::Optional | Presence::Required => Ok(None),
        }
    }

    /// Makes the usage error of an invalid value.
    pub fn invalid(&self, key: &Key, value: &str) -> Error {
        self.error(&format!("invalid value `{value}` of key {}", key.name))
    }

    /// Makes the usage error of an invalid value. `expected` describes the valid values.
    pub(crate) fn must_be(&self, key: &Key, value: &str, expected: &str) -> Error {
        self.invalid(key, value).caused_by(Error::usage(format!("it must be {expected}")))
    }

    /// Makes the usage error of two keys that name the same file.
    pub(crate) fn same_file(&self, one: &Key, other: &Key) -> Error {
        self.error(&format!("keys {} and {} name the same file", one.name, other.name))
    }

    /// Returns a text that names section and file.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Makes the usage error of an invalid value that is not shown, since it may contain a password.
    pub fn invalid_secret(&self, key: &Key) -> Error {
        self.error(&format!("invalid value of key {}", key.name))
    }

    /// Returns the sources of values, in order of precedence.
    fn places(&self) -> [&Values; 4] {
        [&self.set, &self.values, &self.defaults, &self.built_in]
    }

    fn raw(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        self.places().into_iter().find_map(|place| place.get(&name)).map(String::as_str)
    }

    fn expand(&self, name: &str, value: &str) -> Result<String, Error> {
        self.expand_as(self.syntax, name, value)
    }

    /// Replaces the references in a value of the given syntax: that of the file, or of the program's own defaults.
    fn expand_as(&self, syntax: Syntax, name: &str, value: &str) -> Result<String, Error> {
        let lookup = |section: Option<&str>, other: &str| match section {
            Some(section) if section != self.section => self.raw_of(section, other),
            _ => self.raw(other),
        };
        interpolate::expand_as(syntax, value, self.syntax, &|section, other| {
            lookup(section, other).map(str::to_owned)
        })
        .map_err(|what| self.error(&format!("key {name}: {what}")))
    }

    /// Returns a value of another section without interpolation. As in Skytools, other sections have no built-in
    /// values.
    fn raw_of(&self, section: &str, name: &str) -> Option<&str> {
        let own = if section == DEFAULTS { &self.defaults } else { self.others.get(section)? };
        [own, &self.defaults].into_iter().find_map(|place| place.get(name)).map(String::as_str)
    }

    fn error(&self, what: &str) -> Error {
        Error::usage(format!("{what} ({})", self.place()))
    }
}

/// Shows place and keys, but no values, some of which are secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("place", &self.place)
            .field("keys", &self.values.keys())
            .finish_non_exhaustive()
    }
}

fn lower_case(set: &[(String, String)]) -> Values {
    set.iter().map(|(key, value)| (key.to_lowercase(), value.clone())).collect()
}

/// Returns the values that refer to the program and to its config file, if it has one.
fn built_in(file: Option<&Path>, service: &str, syntax: Syntax) -> Values {
    let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let host = nix::unistd::gethostname().unwrap_or_default();
    let job = file.map_or_else(|| service.to_owned(), |file| text(file.file_stem()));
    let mut pairs =
        vec![("job_name", job), ("service_name", service.to_owned()), ("host_name", text(Some(&host)))];
    if let Some(file) = file {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        pairs.push(("config_dir", text(Some(folder.as_os_str()))));
        pairs.push(("config_file", text(Some(file.as_os_str()))));
    }
    // A `%` or `$` in a name is literal.
    pairs.into_iter().map(|(name, value)| (name.to_owned(), syntax.quote(&value))).collect()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
