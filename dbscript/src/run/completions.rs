//! What shells need to complete the command line.
//!
//! clap's own scripts know subcommands, but not that the config file stands before the command; so for programs with
//! commands, those of bash and fish are made here.

mod bash;
mod fish;

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ValueHint};
use clap_complete::Shell;

use crate::run::args;
use crate::run::command::Command;
use crate::run::description::Description;

/// Writes what a shell needs to complete the command line.
pub(crate) fn write(description: &Description, shell: Shell, to: &mut impl Write) -> io::Result<()> {
    let mut parser = parser(description);
    match (shell, &*description.commands) {
        (Shell::Bash, commands @ [_, ..]) => bash::write(&Line::new(&mut parser, commands), to),
        (Shell::Fish, commands @ [_, ..]) => fish::write(&Line::new(&mut parser, commands), to),
        _ => {
            clap_complete::generate(shell, &mut parser, description.name(), to);
            Ok(())
        }
    }
}

/// Returns the parser with every command and what it takes.
fn parser(description: &Description) -> clap::Command {
    if description.commands.is_empty() {
        return description.parser();
    }
    let mut parser = args::complete(description.described(), &description.switches, None);
    for switch in description.switches.iter().filter(|switch| !switch.values.is_empty()) {
        let values = PossibleValuesParser::new(switch.values);
        parser = parser.mut_arg(switch.name, |arg| arg.value_parser(values));
    }
    let added: Vec<&str> = description.switches.iter().map(|switch| switch.name).collect();
    with_commands(parser, &description.commands, &added)
}

/// Adds commands with their arguments and switches, each a command of the parser's own, which is how clap's scripts
/// know them. The program itself takes them as plain arguments, before and behind which switches may stand.
fn with_commands(parser: clap::Command, commands: &[Command], added: &[&'static str]) -> clap::Command {
    let parser = parser.mut_args(|arg| {
        let is_common = !added.contains(&arg.get_id().as_str());
        let everywhere = is_common && !arg.is_positional() && arg.get_id() != "version";
        arg.global(everywhere)
    });
    let switches: Vec<Arg> =
        parser.get_arguments().filter(|arg| added.contains(&arg.get_id().as_str())).cloned().collect();
    parser.disable_help_subcommand(true).subcommands(commands.iter().map(|command| {
        let arguments = command.words().into_iter().map(|word| {
            let arg = Arg::new(word.text).value_name(word.text);
            match &*word.values {
                [] => arg.value_hint(ValueHint::Other),
                values => arg.value_parser(PossibleValuesParser::new(values.to_vec())),
            }
        });
        let taken = switches.iter().filter(|arg| command.switches.contains(&arg.get_id().as_str()));
        clap::Command::new(command.name).about(command.doc).args(arguments).args(taken)
    }))
}

/// A command line, as the scripts that are made here know it.
struct Line<'a> {
    name: String,
    switches: Vec<Switch>,
    commands: &'a [Command],
}

/// A switch, or an option with a value.
struct Switch {
    short: Option<char>,
    long: String,
    /// Whether the word behind it is its value.
    wants_value: bool,
    /// What its value may be, if that is known.
    values: Vec<String>,
    doc: String,
    /// The commands that take it; `None`: all.
    commands: Option<Vec<&'static str>>,
}

impl<'a> Line<'a> {
    fn new(parser: &mut clap::Command, commands: &'a [Command]) -> Line<'a> {
        parser.build();
        let switches = parser.get_arguments().filter_map(|arg| Switch::new(arg, commands)).collect();
        Line { name: parser.get_name().to_owned(), switches, commands }
    }

    /// Returns the name of a shell's function of this program.
    fn function(&self) -> String {
        format!("_{}", self.name.replace('-', "_"))
    }
}

impl Switch {
    fn new(arg: &Arg, commands: &[Command]) -> Option<Switch> {
        let long = arg.get_long()?.to_owned();
        let takes = |command: &&Command| command.switches.contains(&&*long);
        let taking: Vec<_> = commands.iter().filter(takes).map(Command::name).collect();
        let is_flag = !arg.get_action().takes_values();
        Some(Switch {
            short: arg.get_short(),
            wants_value: !is_flag && !arg.is_require_equals_set(),
            values: match is_flag {
                true => Vec::new(),
                false => arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect(),
            },
            doc: arg.get_help().map(ToString::to_string).unwrap_or_default(),
            commands: (!taking.is_empty()).then_some(taking),
            long,
        })
    }

    /// Returns the switch in all its forms.
    fn forms(&self) -> impl Iterator<Item = String> + '_ {
        self.short.map(|short| format!("-{short}")).into_iter().chain([format!("--{}", self.long)])
    }
}

/// Returns what may stand at each place behind a command, as far as that is known. A word that may be left out gives
/// way to the next one.
fn values(command: &Command) -> Vec<(usize, Vec<&'static str>)> {
    let words = command.words();
    let at = |place: usize| {
        let mut values = Vec::new();
        for word in &words[place..] {
            values.extend(&word.values);
            if !word.text.starts_with('[') {
                break;
            }
        }
        (place, values)
    };
    (0..words.len()).map(at).filter(|(_, values)| !values.is_empty()).collect()
}
