//! The command line: the switches of every program, and those that a program adds.

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use clap_complete::Shell;
use log::LevelFilter;
use nix::sys::signal::Signal;

use crate::error::Error;
use crate::run::command;
use crate::run::positionals::Positionals;

/// The switches that send a signal to the running process: name, spelling and signal.
const SIGNALS: [(&str, &str, Signal); 3] =
    [("reload", "-r", Signal::SIGHUP), ("stop", "-s", Signal::SIGINT), ("kill", "-k", Signal::SIGTERM)];

/// The switches, options and arguments on the command line.
pub struct Switches {
    pub(super) given: ArgMatches,
    pub(super) positionals: Positionals,
    pub(super) program: &'static str,
    pub(super) commands: Vec<command::Command>,
    /// The names of the switches that the program added.
    pub(super) added: Vec<&'static str>,
}

/// Shows no values: a connection string may contain a password.
impl std::fmt::Debug for Switches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Switches").finish_non_exhaustive()
    }
}

/// A switch that a program adds to the common ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extra {
    pub(crate) name: &'static str,
    /// The placeholder of its value in `--help`; `None` for a switch without a value.
    pub(crate) value: Option<&'static str>,
    /// The value of an option that is given without one. An explicit value then follows a `=`.
    pub(crate) missing: Option<&'static str>,
    /// The values that completions offer.
    pub(crate) values: &'static [&'static str],
    pub(crate) doc: &'static str,
}

impl Extra {
    pub(super) fn arg(&self) -> Arg {
        match self.value {
            None => flag(self.name, self.doc),
            Some(value) => {
                let arg = Arg::new(self.name).long(self.name).value_name(value).help(self.doc);
                let arg = arg.overrides_with(self.name).value_hint(ValueHint::Other);
                match self.missing {
                    None => arg,
                    Some(missing) => arg.num_args(0..=1).require_equals(true).default_missing_value(missing),
                }
            }
        }
    }
}

impl Switches {
    /// Returns true if a switch that the program added was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.try_get_one::<bool>(name).ok().flatten().is_some_and(|given| *given)
    }

    /// Returns the value of an option that the program added, or `None` if the option was not given. If it was given
    /// several times, the last value counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.given.try_get_one::<String>(name).ok().flatten().map(String::as_str)
    }

    /// Returns the arguments after the config file. In a program with commands, the first is the command, also if there
    /// is no config file.
    pub fn arguments(&self) -> Vec<&str> {
        self.positionals.arguments.iter().map(String::as_str).collect()
    }

    /// Makes the usage error of arguments that the program does not accept: a missing command, an unknown command, or
    /// a command with wrong arguments.
    pub fn misuse(&self) -> Error {
        command::misuse(self.program, &self.commands, &self.arguments())
    }

    /// Returns the command that was given, if the program has it.
    pub(crate) fn command(&self) -> Option<&command::Command> {
        command::find(&self.commands, self.positionals.arguments.first()?)
    }

    /// Checks that the command accepts the switches that were given.
    pub(crate) fn check_command(&self) -> Result<(), Error> {
        let Some(command) = self.command() else { return Ok(()) };
        let is_given = |name: &&str| self.given.value_source(name) == Some(ValueSource::CommandLine);
        command::check_switches(self.program, command, self.added.iter().copied().filter(is_given))
    }

    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.positionals.file.as_deref()
    }

    /// Returns the switch that requires a config file, which names the pidfile, if such a switch was given.
    pub(crate) fn needs_file(&self) -> Option<&'static str> {
        if self.daemon() {
            return Some("-d");
        }
        signal_switch(&self.given).map(|(switch, _)| switch)
    }

    pub(crate) fn daemon(&self) -> bool {
        self.given.get_flag("daemon")
    }

    pub(crate) fn sample(&self) -> bool {
        self.given.get_flag("ini")
    }

    pub(crate) fn manual(&self) -> bool {
        self.given.get_flag("man")
    }

    pub(crate) fn completions(&self) -> Option<Shell> {
        self.given.get_one("completions").copied()
    }

    pub(crate) fn level(&self) -> LevelFilter {
        match (self.given.get_flag("quiet"), self.given.get_count("verbose")) {
            (true, _) => LevelFilter::Warn,
            (false, 0) => LevelFilter::Info,
            (false, 1) => LevelFilter::Debug,
            (false, _) => LevelFilter::Trace,
        }
    }

    /// Returns the signal that the switches send to the running process, if any.
    pub(crate) fn signal(&self) -> Option<Signal> {
        signal_switch(&self.given).map(|(_, signal)| signal)
    }

    /// Returns the pairs of key and value of `--set`.
    pub(crate) fn set(&self) -> Result<Vec<(String, String)>, Error> {
        let given = self.given.get_many::<String>("set").into_iter().flatten();
        given
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    Ok((key.trim().to_owned(), value.trim().to_owned()))
                }
                _ => Err(Error::usage(format!("--set must be PARAM=VAL, not `{pair}`"))),
            })
            .collect()
    }
}

/// Returns the switch that sends a signal to the running process, and the signal. A command line that is valid only in
/// part may lack the values of flags.
pub(super) fn signal_switch(given: &ArgMatches) -> Option<(&'static str, Signal)> {
    let is_given = |name| given.try_get_one::<bool>(name).ok().flatten() == Some(&true);
    let found = SIGNALS.into_iter().find(|(name, _, _)| is_given(name));
    found.map(|(_, switch, signal)| (switch, signal))
}

/// Adds the common switches, the switches of `extra`, and the config file to a command. `database` is the switch that
/// replaces the config file, and `arguments` the placeholder of the arguments after it.
pub(crate) fn complete(
    command: Command,
    extra: &[Extra],
    database: Option<&'static str>,
    arguments: Option<&'static str>,
) -> Command {
    let mut command = command
        .disable_version_flag(true)
        .arg(
            Arg::new("config")
                .value_name("config.ini")
                .value_parser(clap::value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("Config file"),
        )
        .args(database.map(database_switch))
        .args(extra.iter().map(Extra::arg))
        .arg(flag("quiet", "Log warnings and errors only").short('q').conflicts_with("verbose"))
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::Count)
                .help("Log debug messages too; twice: trace"),
        )
        .arg(flag("daemon", "Go background; needs `pidfile`").short('d'))
        .args(printing())
        .arg(
            Arg::new("set")
                .long("set")
                .value_name("PARAM=VAL")
                .value_hint(ValueHint::Other)
                .action(ArgAction::Append)
                .help("Override a value of the config file"),
        )
        .arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
        );
    if let Some(usage) = arguments {
        let help = "Command and its arguments";
        command = command.arg(Arg::new("arguments").value_name(usage).num_args(0..).help(help));
    }
    control(command)
}

/// The switch with a connection string in place of the config file.
fn database_switch(name: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("CONNINFO")
        .value_hint(ValueHint::Other)
        .overrides_with(name)
        .help("Connection string of the database, in place of the config file")
}

/// The switches that print a text instead of running the program.
fn printing() -> [Arg; 3] {
    let completions = Arg::new("completions")
        .long("completions")
        .value_name("SHELL")
        .value_parser(clap::value_parser!(Shell))
        .help("Print completions of the command line for a shell");
    [
        flag("ini", "Print a commented sample config file"),
        flag("man", "Print a manual page, for `man -l -`"),
        completions,
    ]
}

/// Adds the switches that control a running process.
fn control(command: Command) -> Command {
    command
        .next_help_heading("Control a running process")
        .arg(
            flag("reload", "Reload config (send SIGHUP)")
                .short('r')
                .conflicts_with_all(["stop", "kill", "daemon"]),
        )
        .arg(
            flag("stop", "Stop program safely (send SIGINT)")
                .short('s')
                .conflicts_with_all(["kill", "daemon"]),
        )
        .arg(flag("kill", "Kill program immediately (send SIGTERM)").short('k').conflicts_with("daemon"))
}

fn flag(name: &'static str, doc: &'static str) -> Arg {
    // A wrapper script may repeat a switch.
    Arg::new(name).long(name).action(ArgAction::SetTrue).overrides_with(name).help(doc)
}
