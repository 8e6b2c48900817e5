//! Completion scripts for shells.
//!
//! clap's scripts expect the command as the first argument, but the config file precedes it. For programs with
//! commands, a few lines after clap's scripts for bash and fish correct the order.

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ValueHint};
use clap_complete::Shell;

use crate::run::args;
use crate::run::command::Command;
use crate::run::description::Description;

/// Writes the completion script for a shell.
pub(crate) fn write(description: &Description, shell: Shell, to: &mut impl Write) -> io::Result<()> {
    let (name, commands) = (description.name(), &*description.commands);
    let mut parser = parser(description, shell);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut parser, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    match (shell, commands) {
        (Shell::Bash, [_, ..]) => write!(to, "{script}{}", bash(name, &parser)),
        (Shell::Fish, [_, ..]) => write!(to, "{}", fish(name, &script, commands)),
        _ => write!(to, "{script}"),
    }
}

fn bash(name: &str, parser: &clap::Command) -> String {
    let valued = parser.get_opts().filter(|arg| !arg.is_require_equals_set()).flat_map(|arg| {
        let short = arg.get_short().map(|short| format!("-{short}"));
        short.into_iter().chain(arg.get_long().map(|long| format!("--{long}")))
    });
    include_str!("completions/order.bash")
        .replace("FUNCTION", &format!("_{}", name.replace('-', "__")))
        .replace("VALUED", &valued.collect::<Vec<_>>().join("|"))
        .replace("PROGRAM", name)
}

/// Corrects the order of words, and adds the words that commands accept, which clap omits for fish.
fn fish(name: &str, script: &str, commands: &[Command]) -> String {
    let function = format!("__fish_{}", name.replace('-', "_"));
    let only_with_config = format!("{function}_at 1\" -a ");
    let mut script = script.replace(&format!("{function}_needs_command\" -a "), &only_with_config);
    script.push_str(
        &include_str!("completions/order.fish").replace("FUNCTION", &function).replace("PROGRAM", name),
    );
    for command in commands {
        let words: Vec<&str> = command.words().into_iter().flat_map(|word| word.values).collect();
        if !words.is_empty() {
            let (command, words) = (command.name(), words.join(" "));
            script.push_str(&format!(
                "complete -c {name} -n '{function}_using_subcommand {command}' -a '{words}'\n"
            ));
        }
    }
    script
}

/// Returns the parser with every command, its arguments and its switches.
fn parser(description: &Description, shell: Shell) -> clap::Command {
    if description.commands.is_empty() {
        return description.parser();
    }
    let mut parser = args::complete(description.described(), &description.switches, None);
    if shell == Shell::Bash {
        // clap's script would complete free text to itself.
        parser = parser.mut_args(|arg| match arg.get_value_hint() {
            ValueHint::Other => arg.value_parser(PossibleValuesParser::new([""; 0])),
            _ => arg,
        });
    }
    for switch in description.switches.iter().filter(|switch| !switch.values.is_empty()) {
        let values = PossibleValuesParser::new(switch.values);
        parser = parser.mut_arg(switch.name, |arg| arg.value_parser(values).value_hint(ValueHint::Unknown));
    }
    let added: Vec<&str> = description.switches.iter().map(|switch| switch.name).collect();
    with_commands(parser, &description.commands, &added)
}

/// Adds each command as a subcommand with its arguments and switches, since clap's scripts complete only subcommands.
/// The program itself parses commands as plain arguments, so that switches may precede and follow them.
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
