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
    synopsis(&mut page, description, &parser);
    page.to_writer(to)?;
    man.render_description_section(to)?;
    let mut page = Roff::new();
    quick_start(&mut page, description.steps());
    commands(&mut page, description);
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

/// Writes every common switch with its value, then the config file or the switch that replaces it, and the arguments.
fn synopsis(page: &mut Roff, description: &Description, parser: &clap::Command) {
    page.control("SH", ["SYNOPSIS"]);
    let replacement = description.file_replacement;
    let mut line = vec![bold(parser.get_name())];
    let is_listed = |arg: &&Arg| !arg.is_hide_set() && replacement.is_none_or(|name| arg.get_id() != name);
    for arg in parser.get_arguments().filter(|arg| !arg.is_positional()).filter(is_listed) {
        line.push(roman(" "));
        line.extend(in_brackets(arg));
    }
    for arg in parser.get_positionals() {
        line.extend([roman(" "), italic(value_name(arg))]);
    }
    page.text(line);
    if let Some(name) = replacement {
        let mut line = vec![bold(parser.get_name()), roman(" [switch]... "), bold(format!("--{name}"))];
        line.extend([roman(" "), italic("CONNINFO")]);
        for arg in parser.get_positionals().skip(1) {
            line.extend([roman(" "), italic(value_name(arg))]);
        }
        page.control("br", []).text(line);
    }
}

/// Writes a switch in brackets.
fn in_brackets(arg: &Arg) -> Vec<Inline> {
    let is_repeatable = matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
    let mut parts = vec![roman("[")];
    parts.extend(names_and_value(arg, "|"));
    parts.push(roman(if is_repeatable { "]..." } else { "]" }));
    parts
}

/// Writes the names of a switch and the placeholder of its value.
fn names_and_value(arg: &Arg, separator: &str) -> Vec<Inline> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let mut parts = vec![bold(names.join(separator))];
    if arg.get_action().takes_values() {
        match arg.is_require_equals_set() {
            true => parts.extend([roman("[="), italic(value_name(arg)), roman("]")]),
            false => parts.extend([roman(" "), italic(value_name(arg))]),
        }
    }
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

fn commands(page: &mut Roff, description: &Description) {
    if !description.commands.is_empty() {
        page.control("SH", ["COMMANDS"]);
    }
    for command in &description.commands {
        let arguments = command.synopsis().split_off(command.name().len());
        page.control("SS", [command.name()]).text([bold(command.name()), roman(arguments)]);
        let options: Vec<(Arg, &str)> =
            description.switches_of(command).map(|switch| (switch.arg(), switch.doc)).collect();
        for (arg, _) in &options {
            page.text(in_brackets(arg));
        }
        page.control("PP", []).text([roman(command.doc)]);
        for (arg, doc) in &options {
            page.control("TP", []).text(names_and_value(arg, ", ")).text([roman(*doc)]);
        }
        for (word, meaning) in command.details {
            page.control("TP", []).text([bold(*word)]).text([roman(*meaning)]);
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
    if let Some(note) = description.replacement_note() {
        page.control("PP", []).text([roman(note)]);
    }
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
