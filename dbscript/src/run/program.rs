//! A whole program, described before it runs.

use std::process::ExitCode;

use crate::config::Config;
use crate::config::key::Key;
use crate::error::{BoxError, describe, is_usage};
use crate::logging;
use crate::logging::complaint::complain;
use crate::panics::{catch_panic, report_panics_by};
use crate::run::args::{self, Extra, Refusal, Switches};
use crate::run::command::Command;
use crate::run::description::Description;
use crate::run::invocation::Run;
use crate::run::job::Job;

/// A program on top of the framework, described before it runs.
///
/// Skytools: `DBScript`'s constructor and `start`.
pub struct Program {
    description: Description,
    on_failure: Option<OnFailure>,
}

/// Reports in a program's own way why it fails; see [`Program::on_failure`].
type OnFailure = fn(&[&str], &str) -> Option<ExitCode>;

impl Program {
    /// Describes a program; `service` is its name and its section in the config file.
    pub fn new(service: &'static str) -> Program {
        Program { description: Description::new(service), on_failure: None }
    }

    /// Lets all connections look up names without a schema in `pg_catalog` alone, as
    /// [`Databases::pin_search_path`](crate::Databases::pin_search_path) does. Defaults to the session's search path.
    pub fn pin_search_path(mut self) -> Program {
        self.description.is_pinned = true;
        self
    }

    /// Accepts another name for the section.
    pub fn or_section(mut self, section: &'static str) -> Program {
        self.description.sections.push(section);
        self
    }

    /// Sets the sentence that `--help` starts with.
    pub fn about(mut self, about: &'static str) -> Program {
        self.description.about = about;
        self
    }

    /// Sets the text that `--help` ends with.
    pub fn help_after(mut self, text: &'static str) -> Program {
        self.description.help_after = text;
        self
    }

    /// Sets the steps from nothing to a program that runs, which the manual page has: each a sentence, and the command
    /// for it or an empty text.
    pub fn quick_start(mut self, steps: &'static [(&'static str, &'static str)]) -> Program {
        self.description.quick_start = steps;
        self
    }

    /// Sets the version that `--version` prints. Defaults to this crate's name and version.
    pub fn version(mut self, version: &'static str) -> Program {
        self.description.version = version;
        self
    }

    /// Adds a database: a required key that holds its connection string, as
    /// [`Context::database`](crate::Context::database) wants it.
    pub fn database(mut self, name: &'static str, doc: &'static str) -> Program {
        self.description.databases.push(Key::required(name, doc));
        self
    }

    /// As [`database`](Program::database), but a file may leave the key out: whoever wants the database then gets
    /// an error.
    pub fn optional_database(mut self, name: &'static str, doc: &'static str) -> Program {
        self.description.optional.push(name);
        self.database(name, doc)
    }

    /// Adds keys of the config file. One that is there already gets another default, whoever reads it.
    pub fn keys(mut self, keys: &[Key]) -> Program {
        for key in keys {
            match self.description.keys.iter_mut().find(|known| known.name == key.name) {
                Some(known) => *known = *key,
                None => self.description.keys.push(*key),
            }
        }
        self
    }

    /// Adds a switch `--name`, which is given or not.
    pub fn switch(mut self, name: &'static str, doc: &'static str) -> Program {
        self.description.switches.push(Extra { name, value: None, missing: None, values: &[], doc });
        self
    }

    /// Adds an option `--name VALUE`, whose value is text; `value` stands for it in `--help`.
    pub fn option(mut self, name: &'static str, value: &'static str, doc: &'static str) -> Program {
        self.description.switches.push(Extra { name, value: Some(value), missing: None, values: &[], doc });
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
        self.description.switches.push(Extra { name, value: Some(value), missing: None, values, doc });
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
        self.description.switches.push(Extra {
            name,
            value: Some(value),
            missing: Some(missing),
            values: &[],
            doc,
        });
        self
    }

    /// Accepts arguments after the config file; `usage` stands for them in `--help`.
    pub fn arguments(mut self, usage: &'static str) -> Program {
        self.description.arguments = Some(usage);
        self
    }

    /// Accepts commands, of which one and what it takes follow the config file. `--help`, the manual page and the
    /// completions list them; for what is none of them there is [`Switches::misuse`].
    pub fn commands(mut self, commands: &[Command]) -> Program {
        self.description.commands.extend_from_slice(commands);
        self
    }

    /// Sets what reports in its own way why the program fails. It gets the arguments after the config file, as far as
    /// the command line could be understood, and the reason, and returns the exit status. With `None` the failure is
    /// reported as ever, on the log or standard error.
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
        report_panics_by(complain);
        let Program { description, on_failure } = self;
        let name = description.name();
        let parsed = args::parse(
            description.parser(),
            &description.commands,
            &description.switches,
            std::env::args_os(),
        );
        let switches = match parsed {
            Ok(switches) => switches,
            Err(refusal) => return refused(&refusal, on_failure),
        };
        let arguments: Vec<String> = switches.arguments().into_iter().map(str::to_owned).collect();
        let run = || Run::new(description, switches, Box::new(build)).and_then(Run::run);
        let status = catch_panic(run).unwrap_or_else(|error| {
            own_way(on_failure, &arguments, &describe(&*error)).unwrap_or_else(|| {
                complain(&told(name, &*error));
                ExitCode::from(if is_usage(&*error) { 2 } else { 1 })
            })
        });
        logging::flush();
        status
    }
}

/// Reports why a command line is refused.
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
