//! The builder of a program.

use std::process::ExitCode;

use crate::config::Config;
use crate::config::key::Key;
use crate::error::{BoxError, describe, is_usage};
use crate::logging;
use crate::logging::report::report_error;
use crate::panics::{catch_panic, report_panics_by};
use crate::run::args::{Extra, Switches};
use crate::run::command::Command;
use crate::run::description::Description;
use crate::run::invocation::Run;
use crate::run::job::Job;
use crate::run::parse::{Refusal, parse};

/// The builder of a program: config keys, databases, switches, commands.
///
/// Skytools: `DBScript`'s constructor and `start`.
pub struct Program {
    description: Description,
    on_failure: Option<OnFailure>,
}

/// Reports a failure in the program's own format; see [`Program::on_failure`].
type OnFailure = fn(&[&str], &str) -> Option<ExitCode>;

impl Program {
    /// Describes a program; `service` is its name and its section in the config file.
    pub fn new(service: &'static str) -> Program {
        Program { description: Description::new(service), on_failure: None }
    }

    /// Restricts the search path of all connections to `pg_catalog`, as
    /// [`Databases::pin_search_path`](crate::Databases::pin_search_path) does. Defaults to the session's search path.
    pub fn pin_search_path(mut self) -> Program {
        self.description.is_pinned = true;
        self
    }

    /// Accepts another name of the program's section in the config file.
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

    /// Sets the quick start of the manual page: steps, each a sentence and a command or an empty text.
    pub fn quick_start(mut self, steps: &'static [(&'static str, &'static str)]) -> Program {
        self.description.quick_start = steps;
        self
    }

    /// Sets the version that `--version` prints. Defaults to this crate's name and version.
    pub fn version(mut self, version: &'static str) -> Program {
        self.description.version = version;
        self
    }

    /// Adds a database: a required key whose value is the connection string, and whose name is the argument of
    /// [`Context::database`](crate::Context::database).
    pub fn database(mut self, name: &'static str, doc: &'static str) -> Program {
        self.description.databases.push(Key::required(name, doc));
        self
    }

    /// Adds a database with an optional key. Without the key,
    /// [`Context::database`](crate::Context::database) fails.
    pub fn optional_database(mut self, name: &'static str, doc: &'static str) -> Program {
        self.description.optional.push(name);
        self.database(name, doc)
    }

    /// Accepts a connection string in place of the config file, as `--NAME CONNINFO`, where `name` is the name of a
    /// [`database`](Program::database). All other keys then have their defaults, and `job_name` is the program's name.
    /// Without file and connection string, the environment variable `PGSERVICE` or `PGDATABASE` names the database.
    ///
    /// `-d`, `-r`, `-s` and `-k` still require the file, which names the pidfile. Defaults to a required config file.
    pub fn runs_without_file(mut self, name: &'static str) -> Program {
        self.description.file_replacement = Some(name);
        self
    }

    /// Adds keys of the config file. A key that exists already is replaced, so that a program can change its default.
    pub fn keys(mut self, keys: &[Key]) -> Program {
        for key in keys {
            match self.description.keys.iter_mut().find(|existing| existing.name == key.name) {
                Some(existing) => *existing = *key,
                None => self.description.keys.push(*key),
            }
        }
        self
    }

    /// Adds a switch `--name` without a value.
    pub fn switch(mut self, name: &'static str, doc: &'static str) -> Program {
        self.description.switches.push(Extra { name, value: None, missing: None, values: &[], doc });
        self
    }

    /// Adds an option `--name VALUE` with a text value; `value` is the placeholder in `--help`.
    pub fn option(mut self, name: &'static str, value: &'static str, doc: &'static str) -> Program {
        self.description.switches.push(Extra { name, value: Some(value), missing: None, values: &[], doc });
        self
    }

    /// Adds an option as [`option`](Program::option) does; completions offer `values`.
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

    /// Adds an option `--name[=VALUE]`, whose value is `missing` if the option is given without one.
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

    /// Accepts arguments after the config file; `usage` is their placeholder in `--help`. Defaults to no arguments.
    pub fn arguments(mut self, usage: &'static str) -> Program {
        self.description.arguments = Some(usage);
        self
    }

    /// Adds commands, of which one follows the config file with its arguments. `--help`, the manual page and the
    /// completions list them, and `--help` after a command describes it. [`Switches::misuse`] makes the error of an
    /// unknown command.
    pub fn commands(mut self, commands: &[Command]) -> Program {
        self.description.commands.extend_from_slice(commands);
        self
    }

    /// Sets a function that reports failures in the program's own format and returns the exit status. Its arguments
    /// are the arguments after the config file, as far as the parser recognized them, and the reason of the failure.
    /// If the function returns `None`, the failure is reported in the log or on standard error.
    pub fn on_failure(mut self, report: fn(&[&str], &str) -> Option<ExitCode>) -> Program {
        self.on_failure = Some(report);
        self
    }

    /// Runs the program with the process's arguments and returns the exit status: 0 for success, 1 for a failure, 2
    /// for wrong usage, or the status of [`Job::once_with_status`].
    ///
    /// `build` makes the job from the configuration, at the start and at every reload. With `-d`, the process forks
    /// before it calls `build`, so the process must not have started threads.
    pub fn main(self, build: impl Fn(&Config, &Switches) -> Result<Job, BoxError> + 'static) -> ExitCode {
        report_panics_by(report_error);
        let Program { description, on_failure } = self;
        let name = description.name();
        let switches = match parse(&description, std::env::args_os()) {
            Ok(switches) => switches,
            Err(refusal) => return refused(&refusal, on_failure),
        };
        let arguments: Vec<String> = switches.arguments().into_iter().map(str::to_owned).collect();
        let run = || Run::new(description, switches, Box::new(build)).and_then(Run::run);
        let status = catch_panic(run).unwrap_or_else(|error| {
            custom_report(on_failure, &arguments, &describe(&*error)).unwrap_or_else(|| {
                report_error(&line(name, &*error));
                ExitCode::from(if is_usage(&*error) { 2 } else { 1 })
            })
        });
        logging::flush();
        status
    }
}

/// Reports a command line that does not run the program.
fn refused(refusal: &Refusal, on_failure: Option<OnFailure>) -> ExitCode {
    let Some(line) = &refusal.line else { return ExitCode::from(refusal.status) };
    custom_report(on_failure, &refusal.arguments, line).unwrap_or_else(|| {
        report_error(line);
        ExitCode::from(refusal.status)
    })
}

fn custom_report(on_failure: Option<OnFailure>, arguments: &[String], reason: &str) -> Option<ExitCode> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    on_failure?(&arguments, reason)
}

/// Returns the line that reports an error, with the program's name unless it goes to the log.
fn line(name: &str, error: &(dyn std::error::Error + 'static)) -> String {
    match log::max_level() {
        log::LevelFilter::Off => format!("{name}: {}", describe(error)),
        _ => describe(error),
    }
}
