//! Options: keywords with their unparsed values.

use std::collections::BTreeMap;

use super::keywords::{self, KEYWORDS, is_blank};
use crate::error::Error;

/// The source of a value, for messages.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    Text,
    /// A string in which the end of a password is ambiguous, so that no value may be shown.
    Ambiguous,
    Service,
    Variable(&'static str),
}

/// Keywords with their values. An empty value counts as given and hides the environment variable.
#[derive(Default)]
pub(super) struct Options(BTreeMap<&'static str, (String, Origin)>);

impl Options {
    /// Sets a value in place of an earlier one. Returns false for an unknown keyword.
    pub(super) fn set(&mut self, name: &str, value: String, origin: Origin) -> bool {
        // The predecessor of `sslmode`.
        if name == "requiressl" {
            let mode = if value.starts_with('1') { "require" } else { "prefer" };
            return self.set("sslmode", mode.to_owned(), origin);
        }
        let keyword = keywords::find(name);
        if let Some((keyword, _)) = keyword {
            self.0.insert(keyword, (value, origin));
        }
        keyword.is_some()
    }

    /// Sets a value unless the keyword has one. Returns false for an unknown keyword.
    pub(super) fn add(&mut self, name: &str, value: String, origin: Origin) -> bool {
        let keyword = keywords::find(name);
        if let Some((keyword, _)) = keyword {
            self.0.entry(keyword).or_insert((value, origin));
        }
        keyword.is_some()
    }

    /// Adds the environment variables of the keywords without a value.
    pub(super) fn add_variables(&mut self, env: &dyn Fn(&str) -> Option<String>) {
        for (keyword, variable) in KEYWORDS {
            if let Some((variable, value)) = variable.and_then(|variable| Some((variable, env(variable)?))) {
                self.add(keyword, value, Origin::Variable(variable));
            }
        }
        if env("PGREQUIRESSL").is_some_and(|value| value.starts_with('1')) {
            self.add("sslmode", "require".to_owned(), Origin::Variable("PGREQUIRESSL"));
        }
    }

    /// Returns the value, which may be empty.
    pub(super) fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(|(value, _)| value.as_str())
    }

    /// Returns the value if it is not empty.
    pub(super) fn given(&self, keyword: &str) -> Option<&str> {
        self.get(keyword).filter(|value| !value.is_empty())
    }

    /// Returns true if any of the keywords has a secret value.
    pub(super) fn has_secret(&self) -> bool {
        self.0.keys().any(|keyword| keywords::is_secret(keyword))
    }

    /// Parses a value as one of `choices`. An empty value is invalid unless it is a choice.
    pub(super) fn choice<T: Copy>(&self, keyword: &str, choices: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        let chosen = choices.iter().find(|(name, _)| *name == value);
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let chosen =
            chosen.ok_or_else(|| self.invalid(keyword, &format!("not one of {}", names.join(", "))))?;
        Ok(Some(chosen.1))
    }

    /// Parses an integer, which white space may surround as in libpq.
    pub(super) fn integer(&self, keyword: &str) -> Result<Option<i32>, Error> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        let integer = value.trim_matches(is_blank).parse();
        integer.map(Some).map_err(|_| self.invalid(keyword, "not an integer"))
    }

    /// Makes the error of an invalid value.
    pub(super) fn invalid(&self, keyword: &str, why: &str) -> Error {
        let (value, place) = match self.0.get(keyword) {
            Some((_, Origin::Ambiguous)) | None => (String::new(), String::new()),
            _ if keywords::is_secret(keyword) => (String::new(), String::new()),
            Some((value, origin)) => (format!(" `{}`", value.escape_debug()), place(*origin)),
        };
        Error::usage(format!("invalid value{value} of `{keyword}`{place}: {why}"))
    }

    /// Makes the error of an unsupported keyword.
    pub(super) fn refused(&self, keyword: &str, why: &str) -> Error {
        let place = self.0.get(keyword).map(|(_, origin)| place(*origin)).unwrap_or_default();
        Error::usage(format!("`{keyword}`{place} is not supported: {why}"))
    }
}

fn place(origin: Origin) -> String {
    match origin {
        Origin::Text | Origin::Ambiguous => String::new(),
        Origin::Service => " in the service file".to_owned(),
        Origin::Variable(name) => format!(" in the environment variable {name}"),
    }
}
