//! A whole program, described before it runs.

use std::process::ExitCode;

use clap::Command;
use log::error;

use crate::args::{self, Extra, Switches};
use crate::error::is_usage;
use crate::run::Run;
use crate::settings::{COMMON_KEYS, JOB_NAME};
use crate::{BoxError, Config, Context, Key, Script, describe, logging};

/// What a program does once its configuration is understood.
pub struct Job(pub(crate) Kind);

pub(crate) enum Kind {
    /// Runs round after round, with pidfile and signals.
    Loop(Box<dyn Script>),
    /// Runs once and ends, beside a loop that may be running.
    Once(OnceWork),
}

pub(crate) type OnceWork = Box<dyn FnOnce(&mut Context) -> Result<(), BoxError>>;

impl Job {
    /// Makes a job that runs round after round, with pidfile and signals.
    pub fn looping(script: impl Script + 'static) -> Job {
        Job(Kind::Loop(Box::new(script)))
    }

    /// Makes a job that runs once and ends, also beside a loop that is running.
    pub fn once(work: impl FnOnce(&mut Context) -> Result<(), BoxError> + 'static) -> Job {
        Job(Kind::Once(Box::new(work)))
    }
}

/// A program on top of the framework, described before it runs.
///
/// Skytools: `DBScript`'s constructor and `start`.
pub struct Program {
    sections: Vec<&'static str>,
    about: &'static str,
    help_after: &'static str,
    version: &'static str,
    keys: Vec<Key>,
    databases: Vec<Key>,
    switches: Vec<Extra>,
    arguments: Option<&'static str>,
}

impl Program {
    /// Describes a program; `service` is its name and its section in the config file.
    pub fn new(service: &'static str) -> Program {
        Program {
            sections: vec![service],
            about: "",
            help_after: "",
            version: concat!("(dbscript ", env!("CARGO_PKG_VERSION"), ")"),
            keys: Vec::new(),
            databases: Vec::new(),
            switches: Vec::new(),
            arguments: None,
        }
    }

    /// Accepts another name for the section.
    pub fn or_section(mut self, section: &'static str) -> Program {
        self.sections.push(section);
        self
    }

    /// Sets the sentence that `--help` starts with.
    pub fn about(mut self, about: &'static str) -> Program {
        self.about = about;
        self
    }

    /// Sets the text that `--help` ends with.
    pub fn help_after(mut self, text: &'static str) -> Program {
        self.help_after = text;
        self
    }

    /// Sets the version that `--version` prints. Defaults to this crate's name and version.
    pub fn version(mut self, version: &'static str) -> Program {
        self.version = version;
        self
    }

    /// Adds a database: a required key that holds its connection string, as [`Context::database`] wants it.
    pub fn database(mut self, name: &'static str, doc: &'static str) -> Program {
        self.databases.push(Key::required(name, doc));
        self
    }

    /// Adds keys of the config file. One that the framework has already gets another default.
    pub fn keys(mut self, keys: &[Key]) -> Program {
        self.keys.extend_from_slice(keys);
        self
    }

    /// Adds a switch `--name`.
    pub fn switch(mut self, name: &'static str, doc: &'static str) -> Program {
        self.switches.push(Extra { name, value: None, doc });
        self
    }

    /// Adds a switch `--name VALUE`; `value` stands for the value in `--help`.
    pub fn option(mut self, name: &'static str, value: &'static str, doc: &'static str) -> Program {
        self.switches.push(Extra { name, value: Some(value), doc });
        self
    }

    /// Accepts arguments after the config file; `usage` stands for them in `--help`.
    pub fn arguments(mut self, usage: &'static str) -> Program {
        self.arguments = Some(usage);
        self
    }

    /// Runs the program with the process's arguments and returns its exit status: 0 done, 1 failed, 2 wrong
    /// usage.
    ///
    /// `build` makes the job from the configuration, at start and again at every reload.
    pub fn main(self, build: impl Fn(&Config, &Switches) -> Result<Job, BoxError> + 'static) -> ExitCode {
        let switches = match args::parse(self.command(), std::env::args_os()) {
            Ok(switches) => switches,
            Err(status) => return ExitCode::from(status),
        };
        let name = self.name();
        let status = match Run::new(self, switches, Box::new(build)).and_then(Run::run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(name, &*error);
                ExitCode::from(if is_usage(&*error) { 2 } else { 1 })
            }
        };
        logging::flush();
        status
    }

    /// Returns the parser of the command line.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.name()).version(self.version).after_help(self.help_after);
        if !self.about.is_empty() {
            command = command.about(self.about);
        }
        args::complete(command, &self.switches, self.arguments)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.sections[0]
    }

    pub(crate) fn sections(&self) -> &[&'static str] {
        &self.sections
    }

    pub(crate) fn own_keys(&self) -> &[Key] {
        &self.keys
    }

    pub(crate) fn databases(&self) -> &[Key] {
        &self.databases
    }

    /// Returns every key that the program reads, each once.
    pub(crate) fn all_keys(&self) -> Vec<Key> {
        let mut keys = vec![JOB_NAME];
        for key in self.databases.iter().chain(&self.keys).chain(&COMMON_KEYS) {
            if !keys.iter().any(|known| known.name == key.name) {
                keys.push(*key);
            }
        }
        keys
    }
}

/// Tells why the program ends, on the log where there is one.
#[allow(clippy::print_stderr, reason = "before the log is set up there is only standard error")]
fn complain(name: &str, error: &(dyn std::error::Error + 'static)) {
    if log::max_level() == log::LevelFilter::Off {
        eprintln!("{name}: {}", describe(error));
    } else {
        error!("{}", describe(error));
    }
}
