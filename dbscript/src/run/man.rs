//! The manual page, made from the parser, the commands and the keys.

use std::io::{self, Write};

use clap::{Arg, ArgAction};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::run::command::Command;
use crate::run::description::Description;

/// Writes a manual page in the format of `man`, with the command line and the keys of the config file.
pub(crate) fn write_page(description: &Description, to: &mut impl Write) -> io::Result<()> {
    let mut parser = description.parser();
    parser.build();
    let man = Man::new(parser.clone()).section("1").source(version(&parser));
    man.render_title(to)?;
    man.render_name_section(to)?;
    let mut page = Roff::new();
    synopsis(&mut page, &parser);
    page.to_writer(to)?;
    man.render_description_section(to)?;
    let mut page = Roff::new();
    quick_start(&mut page, description.steps());
    commands(&mut page, &description.commands);
    page.to_writer(to)?;
    man.render_options_section(to)?;
    let mut page = Roff::new();
    config_file(&mut page, description);
    exit_status(&mut page, &description.commands);
    if !description.notes().is_empty() {
        page.control("SH", ["NOTES"]);
        page.control("nf", []).text([roman(description.notes())]).control("fi", []);
    }
    page.to_writer(to)
}

fn version(command: &clap::Command) -> String {
    format!("{} {}", command.get_name(), command.get_version().unwrap_or_default())
}

/// Writes every switch with its value, then the config file and the arguments after it.
fn synopsis(page: &mut Roff, parser: &clap::Command) {
    page.control("SH", ["SYNOPSIS"]);
    let mut line = vec![bold(parser.get_name())];
    for arg in parser.get_arguments().filter(|arg| !arg.is_positional()) {
        line.push(roman(" "));
        line.extend(in_brackets(arg));
    }
    for arg in parser.get_positionals() {
        line.extend([roman(" "), italic(value_name(arg))]);
    }
    page.text(line);
}

fn in_brackets(arg: &Arg) -> Vec<Inline> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let mut parts = vec![roman("["), bold(names.join("|"))];
    if arg.get_action().takes_values() {
        match arg.is_require_equals_set() {
            true => parts.extend([roman("[="), italic(value_name(arg)), roman("]")]),
            false => parts.extend([roman(" "), italic(value_name(arg))]),
        }
    }
    let is_repeatable = matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
    parts.push(roman(if is_repeatable { "]..." } else { "]" }));
    parts
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn quick_start(page: &mut Roff, steps: &[(&str, &str)]) {
    if !steps.is_empty() {
        page.control("SH", ["QUICK\\-START"]);
    }
    for (at, (step, command)) in steps.iter().enumerate() {
        let number = format!("{}.", at + 1);
        page.control("IP", [number.as_str(), "4"]).text([roman(*step)]);
        if !command.is_empty() {
            page.control("sp", []).control("nf", []).text([bold(*command)]).control("fi", []);
        }
    }
}

fn commands(page: &mut Roff, commands: &[Command]) {
    if !commands.is_empty() {
        page.control("SH", ["COMMANDS"]);
    }
    for command in commands {
        let arguments = command.synopsis().split_off(command.name().len());
        page.control("TP", []).text([bold(command.name()), roman(arguments)]).text([roman(command.doc)]);
        if !command.details.is_empty() {
            page.control("RS", []);
            for (word, meaning) in command.details {
                page.control("TP", []).text([bold(*word)]).text([roman(*meaning)]);
            }
            page.control("RE", []);
        }
    }
}

fn config_file(page: &mut Roff, description: &Description) {
    page.control("SH", ["CONFIG FILE"]);
    page.text([
        roman("An INI file with the section "),
        bold(format!("[{}]", description.name())),
        roman(" and these keys."),
    ]);
    for key in description.all_keys() {
        let need = if description.requires(&key) { " (required)" } else { "" };
        page.control("TP", []).text([bold(key.name()), roman(need)]).text([roman(key.doc)]);
    }
}

fn exit_status(page: &mut Roff, commands: &[Command]) {
    page.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in [("0", "Done."), ("1", "Failed."), ("2", "Wrong usage.")] {
        page.control("TP", []).text([bold(status)]).text([roman(meaning)]);
    }
    let own = commands.iter().filter(|command| command.has_own_statuses());
    for command in own {
        page.control("PP", []).text([
            roman("Those of "),
            bold(command.name()),
            roman(" are listed with the command."),
        ]);
    }
}
