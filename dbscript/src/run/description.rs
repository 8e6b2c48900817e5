//! The description of a program, from which the command line, the manual page and the sample file are made.

use crate::config::Config;
use crate::config::key::{Key, Presence};
use crate::error::Error;
use crate::run::args::{self, Extra};
use crate::run::command::{self, Command};
use crate::run::settings::{JOB_NAME, common_keys};

/// The name of a [`Program`](crate::Program), the keys that it reads, and the switches and commands that it accepts.
pub(crate) struct Description {
    pub(super) sections: Vec<&'static str>,
    pub(super) about: &'static str,
    pub(super) help_after: &'static str,
    pub(super) version: &'static str,
    pub(super) keys: Vec<Key>,
    pub(super) databases: Vec<Key>,
    /// The databases that a file may omit.
    pub(super) optional: Vec<&'static str>,
    pub(super) switches: Vec<Extra>,
    pub(super) arguments: Option<&'static str>,
    pub(super) commands: Vec<Command>,
    /// True if the search path of connections is `pg_catalog` alone.
    pub(super) is_pinned: bool,
    pub(super) quick_start: &'static [(&'static str, &'static str)],
}

impl Description {
    /// Describes a program that has only a name.
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

    /// Returns the end of `--help`: the list of commands and the program's own text.
    fn help_end(&self) -> String {
        match (&*self.commands, self.help_after) {
            ([], text) => text.to_owned(),
            (commands, "") => command::list(commands),
            (commands, text) => format!("{}\n\n{text}", command::list(commands)),
        }
    }

    /// Returns the program's own text at the end of `--help` and of the manual page.
    pub(crate) fn notes(&self) -> &'static str {
        self.help_after
    }

    /// Returns the steps of the quick start in the manual page.
    pub(crate) fn steps(&self) -> &'static [(&'static str, &'static str)] {
        self.quick_start
    }

    /// Returns true if a file must set a key.
    pub(crate) fn requires(&self, key: &Key) -> bool {
        key.value == Presence::Required && !self.optional.contains(&key.name())
    }

    pub(crate) fn name(&self) -> &'static str {
        self.sections[0]
    }

    /// Returns the keys of databases that the file sets or must set.
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
            if !keys.iter().any(|present| present.name == key.name) {
                keys.push(key);
            }
        }
        keys
    }
}
