//! A plain description of a program: what the command line, the manual page and the sample file are made of.

use crate::config::Config;
use crate::config::key::{Key, Presence};
use crate::error::Error;
use crate::run::args::{self, Extra};
use crate::run::command::{self, Command};
use crate::run::settings::{JOB_NAME, common_keys};

/// What a [`Program`](crate::Program) is called, reads and accepts.
pub(crate) struct Description {
    pub(super) sections: Vec<&'static str>,
    pub(super) about: &'static str,
    pub(super) help_after: &'static str,
    pub(super) version: &'static str,
    pub(super) keys: Vec<Key>,
    pub(super) databases: Vec<Key>,
    /// The databases that a file need not set.
    pub(super) optional: Vec<&'static str>,
    pub(super) switches: Vec<Extra>,
    pub(super) arguments: Option<&'static str>,
    pub(super) commands: Vec<Command>,
    /// Whether connections look up names without a schema in `pg_catalog` alone.
    pub(super) is_pinned: bool,
    pub(super) quick_start: &'static [(&'static str, &'static str)],
}

impl Description {
    /// Describes a program of which only the name is known.
    pub(super) fn new(service: &'static str) -> Description {
        Description {
            sections: vec![service],
            about: "",
            help_after: "",
            version: concat!("(dbscript ", env!("CARGO_PKG_VERSION"), ")"),
            keys: Vec::new(),
            databases: Vec::new(),
            optional: Vec::new(),
            switches: Vec::new(),
            arguments: None,
            commands: Vec::new(),
            is_pinned: false,
            quick_start: &[],
        }
    }

    /// Returns the parser of the command line.
    pub(crate) fn parser(&self) -> clap::Command {
        let commands = (!self.commands.is_empty()).then_some("COMMAND");
        args::complete(self.described(), &self.switches, self.arguments.or(commands))
    }

    pub(super) fn described(&self) -> clap::Command {
        let parser = clap::Command::new(self.name()).version(self.version).after_help(self.help_end());
        if self.about.is_empty() { parser } else { parser.about(self.about) }
    }

    /// Returns what `--help` ends with.
    fn help_end(&self) -> String {
        match (&*self.commands, self.help_after) {
            ([], text) => text.to_owned(),
            (commands, "") => command::list(commands),
            (commands, text) => format!("{}\n\n{text}", command::list(commands)),
        }
    }

    /// Returns the text that `--help` and the manual page end with.
    pub(crate) fn notes(&self) -> &'static str {
        self.help_after
    }

    /// Returns the steps from nothing to a program that runs.
    pub(crate) fn steps(&self) -> &'static [(&'static str, &'static str)] {
        self.quick_start
    }

    /// Returns whether a file has to set a key.
    pub(crate) fn requires(&self, key: &Key) -> bool {
        key.value == Presence::Required && !self.optional.contains(&key.name())
    }

    pub(crate) fn name(&self) -> &'static str {
        self.sections[0]
    }

    /// Returns the keys of databases that a file sets or has to set.
    pub(crate) fn databases(&self, config: &Config) -> Result<Vec<Key>, Error> {
        let mut wanted = Vec::new();
        for key in &self.databases {
            let is_set = config.get_opt(key)?.is_some_and(|value| !value.is_empty());
            if is_set || !self.optional.contains(&key.name()) {
                wanted.push(*key);
            }
        }
        Ok(wanted)
    }

    /// Returns every key that the program reads, each once.
    pub(crate) fn all_keys(&self) -> Vec<Key> {
        let mut keys = vec![JOB_NAME];
        for key in self.databases.iter().chain(&self.keys).copied().chain(common_keys().copied()) {
            if !keys.iter().any(|known| known.name == key.name) {
                keys.push(key);
            }
        }
        keys
    }
}
