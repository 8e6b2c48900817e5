//! The help of a program with commands: the list of the commands, and the page of one command.

use std::fmt::Write;

use crate::run::args::Extra;
use crate::run::command::Command;
use crate::text::wrap::wrap;

/// The widest line, in characters.
const WIDTH: usize = 100;
/// The column in which the descriptions of commands begin.
const COLUMN: usize = 36;
/// The widest line of an option's description, in characters.
const OPTION_WIDTH: usize = 64;

/// Renders the list of commands, each with the first sentence of its description.
pub(crate) fn list(commands: &[Command]) -> String {
    table("Commands:", commands.iter().map(|command| (command.synopsis(), command.summary())))
}

/// Wraps a paragraph.
pub(crate) fn paragraph(text: &str) -> String {
    wrap(text, WIDTH).join("\n")
}

/// Makes a parser whose help describes one command: its `options`, and the words that it explains.
pub(crate) fn page<'a>(
    program: &'static str,
    usage: String,
    command: &Command,
    options: impl Iterator<Item = &'a Extra>,
) -> clap::Command {
    let options = options.map(|option| option.arg().help(wrap(option.doc, OPTION_WIDTH).join("\n")));
    clap::Command::new(program)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .about(paragraph(command.doc))
        .override_usage(usage)
        .args(options)
        .after_help(page_end(program, command))
}

/// Returns the end of a command's page: the words that the command explains, and a hint.
fn page_end(program: &str, command: &Command) -> String {
    let hint = format!("`{program} --help` lists the commands and the common switches.");
    if command.details.is_empty() {
        return hint;
    }
    let title = if command.has_own_statuses() { "Exit status:" } else { "Details:" };
    let rows = command.details.iter().map(|(word, meaning)| ((*word).to_owned(), *meaning));
    format!("{}\n\n{hint}", table(title, rows))
}

/// Renders rows of two columns. A long first column gets a line of its own.
fn table<'a>(title: &str, rows: impl Iterator<Item = (String, &'a str)>) -> String {
    let mut text = title.to_owned();
    for (first, second) in rows {
        let first = format!("  {first}");
        let mut head = first.as_str();
        if head.len() + 2 > COLUMN {
            let _ = write!(text, "\n{head}");
            head = "";
        }
        for line in wrap(second, WIDTH - COLUMN) {
            let _ = write!(text, "\n{head:COLUMN$}{line}");
            head = "";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: [Command; 3] = [
        Command::new("drop", "<queue>...", "Drops queues. Asks for confirmation."),
        Command::new("failed", "list|retry <queue> [<event> ...]", "Handles the failed events of consumers."),
        Command::new("status", "", "Shows what there is."),
    ];

    #[test]
    fn commands_are_listed_with_their_arguments_and_a_sentence() {
        let expected = "Commands:\n  drop <queue>...                   Drops queues.\n  \
                        failed list|retry <queue> [<event> ...]\n                                    \
                        Handles the failed events of consumers.\n  \
                        status                            Shows what there is.";
        assert_eq!(list(&COMMANDS), expected);
    }

    #[test]
    fn the_page_of_a_command_has_its_description_usage_and_options() {
        let force = Extra { name: "force", value: None, missing: None, values: &[], doc: "Do not ask." };
        let page = page("prog", "prog FILE drop <queue>...".to_owned(), &COMMANDS[0], [force].iter());
        let expected = "Drops queues. Asks for confirmation.\n\nUsage: prog FILE drop <queue>...\n\n\
                        Options:\n      --force  Do not ask.\n\n\
                        `prog --help` lists the commands and the common switches.\n";
        assert_eq!(page.clone().render_help().to_string(), expected);
    }

    #[test]
    fn the_page_of_a_command_explains_words() {
        let check = |details: &'static [(&str, &str)], expected: &str| {
            let command = COMMANDS[2].explains(details);
            let page = page("prog", "prog FILE status".to_owned(), &command, [].iter()).render_help();
            assert!(page.to_string().contains(expected), "{page}");
        };
        check(
            &[("0", "All is well.")],
            "\n\nExit status:\n  0                                 All is well.\n\n",
        );
        check(&[("lag (3)", "Time.")], "\n\nDetails:\n  lag (3)                           Time.\n\n");
    }
}
