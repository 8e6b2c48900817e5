//! A whole program, described before it runs.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use crate::config::Config;
use crate::config::key::{Key, Presence};
use crate::error::{BoxError, Error, describe, is_usage};
use crate::logging;
use crate::logging::complaint::complain;
use crate::panics::{guarded, log_instead_of_printing};
use crate::run::args::{self, Extra, Refusal, Switches};
use crate::run::command::{self, Command};
use crate::run::completions;
use crate::run::invocation::Run;
use crate::run::script::{Context, Script};
use crate::run::settings::{COMMON_KEYS, JOB_NAME};

/// What a program does once its configuration is understood.
pub struct Job(pub(crate) Kind);

pub(crate) enum Kind {
    /// Runs round after round, with pidfile and signals.
    Loop(Box<dyn Script>),
    /// Runs once and ends, beside a loop that may be running.
    Once(Once),
}

/// What runs once.
pub(crate) struct Once {
    pub(crate) work: OnceWork,
    /// Whether the work handles signals itself.
    pub(crate) handles_signals: bool,
}

type OnceWork = Box<dyn FnOnce(&mut Context) -> Result<ExitCode, BoxError>>;

impl Job {
    /// Makes a job that runs round after round, with pidfile and signals.
    pub fn looping(script: impl Script + 'static) -> Job {
        Job(Kind::Loop(Box::new(script)))
    }

    /// Makes a job that runs once and ends, also beside a loop that is running.
    ///
    /// SIGINT and SIGTERM cancel the statement that it runs, so that it fails and its transaction is rolled back; the
    /// program then dies by that signal, as shells expect.
    pub fn once(work: impl FnOnce(&mut Context) -> Result<(), BoxError> + 'static) -> Job {
        Job::once_with_status(move |cx| work(cx).map(|()| ExitCode::SUCCESS))
    }

    /// Makes a job as [`Job::once`] does, which chooses the program's exit status when it has not failed.
    pub fn once_with_status(work: impl FnOnce(&mut Context) -> Result<ExitCode, BoxError> + 'static) -> Job {
        Job(Kind::Once(Once { work: Box::new(work), handles_signals: false }))
    }

    /// Leaves signals to a job that runs once, which handles them itself.
    pub fn handling_signals(mut self) -> Job {
        if let Kind::Once(once) = &mut self.0 {
            once.handles_signals = true;
        }
        self
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
    /// The databases that a file need not set.
    optional: Vec<&'static str>,
    pinned: bool,
    switches: Vec<Extra>,
    arguments: Option<&'static str>,
    commands: Vec<Command>,
    on_failure: Option<OnFailure>,
    quick_start: &'static [(&'static str, &'static str)],
}

/// Tells in a program's own way why it fails; see [`Program::on_failure`].
type OnFailure = fn(&[&str], &str) -> Option<ExitCode>;

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
            optional: Vec::new(),
            pinned: false,
            switches: Vec::new(),
            arguments: None,
            commands: Vec::new(),
            on_failure: None,
            quick_start: &[],
        }
    }

    /// Lets all connections look up names without a schema in `pg_catalog` alone, as
    /// [`Databases::pin_search_path`](crate::Databases::pin_search_path) does. Defaults to the session's search path.
    pub fn pin_search_path(mut self) -> Program {
        self.pinned = true;
        self
    }

    /// Tells whether connections have a fixed search path.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned
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

    /// Sets the steps from nothing to a program that runs, which the manual page has: each a sentence, and the command
    /// for it or an empty text.
    pub fn quick_start(mut self, steps: &'static [(&'static str, &'static str)]) -> Program {
        self.quick_start = steps;
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

    /// As [`database`](Program::database), but a file may leave the key out: whoever wants the database then gets
    /// an error.
    pub fn optional_database(mut self, name: &'static str, doc: &'static str) -> Program {
        self.optional.push(name);
        self.database(name, doc)
    }

    /// Adds keys of the config file. One that is there already gets another default, whoever reads it.
    pub fn keys(mut self, keys: &[Key]) -> Program {
        for key in keys {
            match self.keys.iter_mut().find(|known| known.name == key.name) {
                Some(known) => *known = *key,
                None => self.keys.push(*key),
            }
        }
        self
    }

    /// Adds a switch `--name`, which is given or not.
    pub fn switch(mut self, name: &'static str, doc: &'static str) -> Program {
        self.switches.push(Extra { name, value: None, missing: None, values: &[], doc });
        self
    }

    /// Adds an option `--name VALUE`, whose value is text; `value` stands for it in `--help`.
    pub fn option(mut self, name: &'static str, value: &'static str, doc: &'static str) -> Program {
        self.switches.push(Extra { name, value: Some(value), missing: None, values: &[], doc });
        self
    }

    /// As [`option`](Program::option), whose value is one of a few, which completions offer.
    pub fn choice(
        mut self,
        name: &'static str,
        value: &'static str,
        values: &'static [&'static str],
        doc: &'static str,
    ) -> Program {
        self.switches.push(Extra { name, value: Some(value), missing: None, values, doc });
        self
    }

    /// Adds an option `--name[=VALUE]`, which has the value `missing` when it is given without one.
    pub fn option_or(
        mut self,
        name: &'static str,
        value: &'static str,
        missing: &'static str,
        doc: &'static str,
    ) -> Program {
        self.switches.push(Extra { name, value: Some(value), missing: Some(missing), values: &[], doc });
        self
    }

    /// Accepts arguments after the config file; `usage` stands for them in `--help`.
    pub fn arguments(mut self, usage: &'static str) -> Program {
        self.arguments = Some(usage);
        self
    }

    /// Accepts commands, of which one and what it takes follow the config file. `--help`, the manual page and the
    /// completions list them; for what is none of them there is [`Switches::misuse`].
    pub fn commands(mut self, commands: &[Command]) -> Program {
        self.commands.extend_from_slice(commands);
        self
    }

    /// Sets what tells in its own way why the program fails. It gets the arguments after the config file, as far as the
    /// command line could be understood, and the reason, and returns the exit status. With `None` the failure is told
    /// as ever, on the log or standard error.
    pub fn on_failure(mut self, tell: fn(&[&str], &str) -> Option<ExitCode>) -> Program {
        self.on_failure = Some(tell);
        self
    }

    /// Runs the program with the process's arguments and returns its exit status: 0 done, 1 failed, 2 wrong
    /// usage, or what [`Job::once_with_status`] returns.
    ///
    /// `build` makes the job from the configuration, at start and again at every reload.
    /// With `-d` it forks first, so the process must not have started threads before.
    pub fn main(self, build: impl Fn(&Config, &Switches) -> Result<Job, BoxError> + 'static) -> ExitCode {
        log_instead_of_printing();
        let (name, on_failure) = (self.name(), self.on_failure);
        let switches = match args::parse(self.parser(), &self.commands, &self.switches, std::env::args_os()) {
            Ok(switches) => switches,
            Err(refusal) => return refused(&refusal, on_failure),
        };
        let arguments: Vec<String> = switches.arguments().into_iter().map(str::to_owned).collect();
        let run = || Run::new(self, switches, Box::new(build)).and_then(Run::run);
        let status = guarded(run).unwrap_or_else(|error| {
            own_way(on_failure, &arguments, &describe(&*error)).unwrap_or_else(|| {
                complain(&told(name, &*error));
                ExitCode::from(if is_usage(&*error) { 2 } else { 1 })
            })
        });
        logging::flush();
        status
    }

    /// Returns the parser of the command line.
    pub(crate) fn parser(&self) -> clap::Command {
        let commands = (!self.commands.is_empty()).then_some("COMMAND");
        args::complete(self.described(), &self.switches, self.arguments.or(commands))
    }

    /// Returns the parser as completions want it, which know every command with what it takes.
    pub(crate) fn completable(&self) -> clap::Command {
        if self.commands.is_empty() {
            return self.parser();
        }
        let mut parser = args::complete(self.described(), &self.switches, None);
        for switch in self.switches.iter().filter(|switch| !switch.values.is_empty()) {
            let values = PossibleValuesParser::new(switch.values);
            parser = parser.mut_arg(switch.name, |arg| arg.value_parser(values));
        }
        let added: Vec<&str> = self.switches.iter().map(|switch| switch.name).collect();
        completions::with_commands(parser, &self.commands, &added)
    }

    fn described(&self) -> clap::Command {
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

    pub(crate) fn notes(&self) -> &'static str {
        self.help_after
    }

    pub(crate) fn steps(&self) -> &'static [(&'static str, &'static str)] {
        self.quick_start
    }

    /// Tells whether a file has to set a key.
    pub(crate) fn requires(&self, key: &Key) -> bool {
        key.value == Presence::Required && !self.optional.contains(&key.name())
    }

    pub(crate) fn all_commands(&self) -> &[Command] {
        &self.commands
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
        for key in self.databases.iter().chain(&self.keys).chain(&COMMON_KEYS) {
            if !keys.iter().any(|known| known.name == key.name) {
                keys.push(*key);
            }
        }
        keys
    }
}

/// Tells why a command line is refused.
fn refused(refusal: &Refusal, on_failure: Option<OnFailure>) -> ExitCode {
    let Some(line) = &refusal.line else { return ExitCode::from(refusal.status) };
    own_way(on_failure, &refusal.arguments, line).unwrap_or_else(|| {
        complain(line);
        ExitCode::from(refusal.status)
    })
}

fn own_way(on_failure: Option<OnFailure>, arguments: &[String], why: &str) -> Option<ExitCode> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    on_failure?(&arguments, why)
}

/// Returns why the program ends; a log knows the program's name already.
fn told(name: &str, error: &(dyn std::error::Error + 'static)) -> String {
    match log::max_level() {
        log::LevelFilter::Off => format!("{name}: {}", describe(error)),
        _ => describe(error),
    }
}
