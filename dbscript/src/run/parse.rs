//! Parsing of the command line, including requests for help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches};

use crate::run::args::{self, Switches};
use crate::run::description::Description;
use crate::run::positionals::Grammar;

/// The result of a command line that does not run the program.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u8,
    /// The error in one line; `None` after help or version was printed.
    pub(crate) line: Option<String>,
    /// The arguments after the config file, as far as the parser recognized them.
    pub(crate) arguments: Vec<String>,
}

/// Parses the command line. Prints help and version.
pub(crate) fn parse(
    description: &Description,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Switches, Refusal> {
    let args: Vec<OsString> = args.into_iter().collect();
    match description.parser().try_get_matches_from(&args) {
        Ok(given) => Ok(switches(description, given)),
        Err(error) if error.use_stderr() => Err(refusal(description, &args, &error)),
        Err(text) => {
            // A closed standard output is not a failure.
            let _ = match page(description, &args, text.kind()) {
                Some(mut page) => page.print_help(),
                None => text.print(),
            };
            Err(Refusal { status: 0, line: None, arguments: Vec::new() })
        }
    }
}

fn switches(description: &Description, mut given: ArgMatches) -> Switches {
    let rest = given.try_remove_many("arguments").ok().flatten().into_iter().flatten();
    let rest: Vec<String> = rest.collect();
    let grammar = Grammar {
        commands: &description.commands,
        takes_arguments: description.takes_arguments(),
        has_database: description.file_replacement.is_some_and(|database| given.contains_id(database)),
        is_control: args::signal_switch(&given).is_some(),
    };
    let positionals = grammar.split(given.remove_one::<PathBuf>("config"), rest);
    Switches {
        given,
        positionals,
        program: description.name(),
        commands: description.commands.clone(),
        added: description.switches.iter().map(|switch| switch.name).collect(),
    }
}

/// Parses the command line as far as it is valid. Ignores requests for help and version.
fn recognized(description: &Description, args: &[OsString]) -> Option<Switches> {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Count);
    let parser = description.parser().disable_help_flag(true).arg(help);
    let parser = parser.mut_arg("version", |version| version.action(ArgAction::Count));
    let given = parser.ignore_errors(true).try_get_matches_from(args);
    given.ok().map(|given| switches(description, given))
}

/// Returns a parser with the help of the command that was given, if the command line asks for help.
fn page(description: &Description, args: &[OsString], request: ErrorKind) -> Option<clap::Command> {
    if request != ErrorKind::DisplayHelp {
        return None;
    }
    recognized(description, args)?.command().map(|command| description.page(command))
}

fn refusal(description: &Description, args: &[OsString], error: &clap::Error) -> Refusal {
    let (program, text) = (description.name(), error.to_string());
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let recognized = recognized(description, args);
    let hint = match recognized.as_ref().and_then(Switches::command) {
        Some(command) => format!("`{program} {} --help` lists the options", command.name()),
        None => format!("`{program} --help` lists the switches"),
    };
    Refusal {
        status: 2,
        line: Some(format!("{program}: {line}; {hint}")),
        arguments: recognized.map(|switches| switches.positionals.arguments).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
