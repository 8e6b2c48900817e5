//! The description of a program, from which the command line, the manual page and the sample file are made.

use crate::config::Config;
use crate::config::key::{Key, Presence};
use crate::error::Error;
use crate::run::args::{self, Extra};
use crate::run::command::Command;
use crate::run::help;
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
    /// The database whose connection string can replace the config file; also the name of the switch.
    pub(super) file_replacement: Option<&'static str>,
    pub(super) switches: Vec<Extra>,
    pub(super) arguments: Option<&'static str>,
    pub(super) commands: Vec<Command>,
    /// True if the search path of connections is `pg_catalog` alone.
    pub(super) is_pinned: bool,
    pub(super) quick_start: &'static [(&'static str, &'static str)],
}

impl Description {
    /// Describes a program that has only a name.
    pub(crate) fn new(service: &'static str) -> Description {
        Description {
            sections: vec![service],
            about: "",
            help_after: "",
            version: concat!("(dbscript ", env!("CARGO_PKG_VERSION"), ")"),
            keys: Vec::new(),
            databases: Vec::new(),
            optional: Vec::new(),
            file_replacement: None,
            switches: Vec::new(),
            arguments: None,
            commands: Vec::new(),
            is_pinned: false,
            quick_start: &[],
        }
    }

    /// Returns the parser of the command line. Its help omits the switches of commands.
    pub(crate) fn parser(&self) -> clap::Command {
        let commands = (!self.commands.is_empty()).then_some("COMMAND");
        let parser = self.complete(self.arguments.or(commands));
        let parser = match commands {
            Some(_) => parser.override_usage(self.usage("COMMAND [ARGUMENT]...")),
            None => parser,
        };
        let of_commands = self.switches.iter().filter(|switch| self.is_of_a_command(switch));
        of_commands.fold(parser, |parser, switch| parser.mut_arg(switch.name, |arg| arg.hide(true)))
    }

    /// Returns a parser of all switches, and of arguments with this placeholder.
    pub(super) fn complete(&self, arguments: Option<&'static str>) -> clap::Command {
        let parser = clap::Command::new(self.name()).version(self.version).after_help(self.help_end());
        let parser = if self.about.is_empty() { parser } else { parser.about(self.about) };
        args::complete(parser, &self.switches, self.file_replacement, arguments)
    }

    /// Returns a parser with the help of one command.
    pub(crate) fn page(&self, command: &Command) -> clap::Command {
        help::page(self.name(), self.usage(&command.synopsis()), command, self.switches_of(command))
    }

    /// Returns the program's own switches that a command accepts.
    pub(super) fn switches_of(&self, command: &Command) -> impl Iterator<Item = &Extra> {
        command.switches.iter().filter_map(|name| self.switches.iter().find(|switch| switch.name == *name))
    }

    fn is_of_a_command(&self, switch: &Extra) -> bool {
        self.commands.iter().any(|command| command.switches.contains(&switch.name))
    }

    /// Returns true if the program accepts arguments after the config file.
    pub(crate) fn takes_arguments(&self) -> bool {
        self.arguments.is_some() || !self.commands.is_empty()
    }

    /// Returns the usage, which ends in `rest`.
    fn usage(&self, rest: &str) -> String {
        let name = self.name();
        let with_file = format!("{name} [OPTIONS] config.ini {rest}");
        match self.file_replacement {
            None => with_file,
            Some(database) => format!("{with_file}\n       {name} [OPTIONS] --{database} CONNINFO {rest}"),
        }
    }

    /// Returns the end of `--help`: the list of commands, hints, and the program's own text.
    fn help_end(&self) -> String {
        let mut parts = Vec::new();
        if !self.commands.is_empty() {
            let hint = format!("`{} COMMAND --help` describes a command and its options.", self.name());
            parts.extend([help::list(&self.commands), hint]);
        }
        parts.extend(self.replacement_note().map(|note| help::paragraph(&note)));
        parts.extend((!self.help_after.is_empty()).then(|| self.help_after.to_owned()));
        parts.join("\n\n")
    }

    /// Returns the text about runs without a config file, if the program supports them.
    pub(crate) fn replacement_note(&self) -> Option<String> {
        let database = self.file_replacement?;
        Some(format!(
            "Without a config file and --{database}, the environment variable PGSERVICE or PGDATABASE names the \
             database. -d, -r, -s and -k require a config file."
        ))
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
