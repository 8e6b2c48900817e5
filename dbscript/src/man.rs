//! What other programs read about this one: its manual page and the completions of its command line, both made
//! from the parser and the keys.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::Key;
use crate::key::Presence;

/// Writes a manual page in the format of `man`: what the command line takes, and what the config file takes.
pub(crate) fn write_page(
    command: Command,
    section: &str,
    keys: &[Key],
    to: &mut impl Write,
) -> io::Result<()> {
    let man = Man::new(command.clone()).section("1").source(version(&command));
    man.render_title(to)?;
    man.render_name_section(to)?;
    man.render_synopsis_section(to)?;
    man.render_description_section(to)?;
    man.render_options_section(to)?;
    let mut rest = Roff::new();
    config_file(&mut rest, section, keys);
    exit_status(&mut rest);
    if let Some(text) = command.get_after_help().map(ToString::to_string).filter(|text| !text.is_empty()) {
        rest.control("SH", ["NOTES"]).control("nf", []).text([roman(text)]).control("fi", []);
    }
    rest.to_writer(to)
}

/// Writes what a shell needs to complete the command line.
pub(crate) fn write_completions(mut command: Command, shell: Shell, to: &mut impl Write) {
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, to);
}

fn version(command: &Command) -> String {
    format!("{} {}", command.get_name(), command.get_version().unwrap_or_default())
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
