//! The manual page, made from the parser, the commands and the keys.

use std::io::{self, Write};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::key::Presence;
use crate::{Command, Key, Program};

/// Writes a manual page in the format of `man`: what the command line takes, and what the config file takes.
pub(crate) fn write_page(program: &Program, to: &mut impl Write) -> io::Result<()> {
    let parser = program.parser();
    let man = Man::new(parser.clone()).section("1").source(version(&parser));
    man.render_title(to)?;
    man.render_name_section(to)?;
    man.render_synopsis_section(to)?;
    man.render_description_section(to)?;
    let mut rest = Roff::new();
    commands(&mut rest, program.all_commands());
    rest.to_writer(to)?;
    man.render_options_section(to)?;
    let mut rest = Roff::new();
    config_file(&mut rest, program.name(), &program.all_keys());
    exit_status(&mut rest);
    if !program.notes().is_empty() {
        rest.control("SH", ["NOTES"]);
        rest.control("nf", []).text([roman(program.notes())]).control("fi", []);
    }
    rest.to_writer(to)
}

fn version(command: &clap::Command) -> String {
    format!("{} {}", command.get_name(), command.get_version().unwrap_or_default())
}

fn commands(page: &mut Roff, commands: &[Command]) {
    if !commands.is_empty() {
        page.control("SH", ["COMMANDS"]);
    }
    for command in commands {
        let arguments = command.synopsis().split_off(command.name().len());
        page.control("TP", []).text([bold(command.name()), roman(arguments)]).text([roman(command.doc)]);
    }
}

fn config_file(page: &mut Roff, section: &str, keys: &[Key]) {
    page.control("SH", ["CONFIG FILE"]);
    page.text([
        roman("An INI file with the section "),
        bold(format!("[{section}]")),
        roman(" and these keys."),
    ]);
    for key in keys {
        let need = if key.value == Presence::Required { " (required)" } else { "" };
        page.control("TP", []).text([bold(key.name()), roman(need)]).text([roman(key.doc)]);
    }
}

fn exit_status(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in [("0", "Done."), ("1", "Failed."), ("2", "Wrong usage.")] {
        page.control("TP", []).text([bold(status)]).text([roman(meaning)]);
    }
}
