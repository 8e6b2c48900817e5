//! Completion scripts for shells.
//!
//! clap's scripts for bash and fish expect the command as the first argument, but the config file precedes it; clap's
//! script for zsh requires the config file. For programs with commands, a few more lines correct the order.

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ValueHint};
use clap_complete::Shell;

use crate::run::command::Command;
use crate::run::description::Description;

/// The end of clap's script for zsh, which runs or registers the function.
const ZSH_END: &str = "\nif [ \"$funcstack[1]\" = ";

/// Writes the completion script for a shell.
pub(crate) fn write(description: &Description, shell: Shell, to: &mut impl Write) -> io::Result<()> {
    let mut parser = parser(description, shell);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut parser, description.name(), &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if !description.commands.is_empty() {
        let words = Words::new(description, &parser);
        match shell {
            Shell::Bash => words.bash(&mut script),
            Shell::Fish => words.fish(&mut script, &description.commands),
            Shell::Zsh => words.zsh(&mut script),
            _ => {}
        }
    }
    write!(to, "{script}")
}

/// The words of a program that the scripts distinguish.
struct Words {
    program: &'static str,
    /// The names of the commands.
    commands: Vec<&'static str>,
    /// The options whose value is the next word.
    valued: Vec<String>,
    /// The switch that replaces the config file. Two quotes, which no word equals, if there is none.
    database: String,
}

impl Words {
    fn new(description: &Description, parser: &clap::Command) -> Words {
        let valued = parser.get_opts().filter(|arg| !arg.is_require_equals_set()).flat_map(|arg| {
            let short = arg.get_short().map(|short| format!("-{short}"));
            short.into_iter().chain(arg.get_long().map(|long| format!("--{long}")))
        });
        Words {
            program: description.name(),
            commands: description.commands.iter().map(Command::name).collect(),
            valued: valued.collect(),
            database: description.file_replacement.map_or("''".to_owned(), |name| format!("--{name}")),
        }
    }

    fn fill(&self, template: &str, function: &str) -> String {
        template
            .replace("FUNCTION", function)
            .replace("VALUED", &self.valued.join("|"))
            .replace("ALTERNATIVES", &self.commands.join("|"))
            .replace("LIST", &self.commands.join(" "))
            .replace("DATABASE", &self.database)
            .replace("PROGRAM", self.program)
    }

    /// Corrects the order of words.
    fn bash(&self, script: &mut String) {
        let function = format!("_{}", self.program.replace('-', "__"));
        script.push_str(&self.fill(include_str!("completions/order.bash"), &function));
    }

    /// Corrects the order of words, and adds the words that commands accept, which clap omits for fish.
    fn fish(&self, script: &mut String, commands: &[Command]) {
        let function = format!("__fish_{}", self.program.replace('-', "_"));
        let condition = format!("{function}_wants_command\" -a ");
        *script = script.replace(&format!("{function}_needs_command\" -a "), &condition);
        script.push_str(&self.fill(include_str!("completions/order.fish"), &function));
        for command in commands {
            let words: Vec<&str> = command.words().into_iter().flat_map(|word| word.values).collect();
            if !words.is_empty() {
                let (program, command, words) = (self.program, command.name(), words.join(" "));
                script.push_str(&format!(
                    "complete -c {program} -n '{function}_using_subcommand {command}' -a '{words}'\n"
                ));
            }
        }
    }

    /// Offers commands in the place of the config file, and inserts the missing file for clap's function.
    fn zsh(&self, script: &mut String) {
        let function = format!("_{}", self.program);
        *script = script.replacen(":_files' \\", &format!(":{function}_first' \\"), 1);
        if let Some(end) = script.rfind(ZSH_END) {
            script.insert_str(end, &self.fill(include_str!("completions/order.zsh"), &function));
        }
    }
}

/// Returns the parser with every command, its arguments and its switches.
fn parser(description: &Description, shell: Shell) -> clap::Command {
    if description.commands.is_empty() {
        return description.parser();
    }
    let mut parser = description.complete(None);
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
        clap::Command::new(command.name).about(command.summary()).args(arguments).args(taken)
    }))
}
