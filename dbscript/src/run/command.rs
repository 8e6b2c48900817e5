//! One command of a program: its name, arguments and meaning, from which the parser's texts are made.

use std::fmt::Write;

use crate::error::Error;
use crate::text::nearest::nearest;
use crate::text::wrap::wrap;

/// Widest line of `--help`.
const WIDTH: usize = 100;
/// Where the meanings of commands begin.
const COLUMN: usize = 36;

/// A command of a program: the first argument behind the config file.
///
/// Commands are constants: `--help`, the manual page and the completions list those that a program has.
///
/// ```
/// use dbscript::Command;
///
/// const DROP: Command = Command::new("drop", "<queue>", "Drops a queue.").takes(&["force"]);
/// const FAILED: Command = Command::new("failed", "list|retry <queue> [<event>...]", "Handles failed events.");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static str,
    pub(crate) doc: &'static str,
    /// The switches of the program, and its options, that it takes.
    pub(crate) switches: &'static [&'static str],
    /// Words that the manual page explains, each with its meaning.
    pub(crate) details: &'static [(&'static str, &'static str)],
}

/// One word of a command's arguments, as completions want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word with its brackets.
    pub(crate) text: &'static str,
    /// What it may be, if that is known: the alternatives between `|`.
    pub(crate) values: Vec<&'static str>,
}

impl Command {
    /// Makes a command. What it takes is written as in a synopsis: `<name>` stands for any text, `[…]` may be left
    /// out, `...` may come again, and other words are taken literally, with `|` between alternatives.
    pub const fn new(name: &'static str, arguments: &'static str, doc: &'static str) -> Command {
        Command { name, arguments, doc, switches: &[], details: &[] }
    }

    /// Names the switches and options that the command takes, of those that the program adds to the common ones. With
    /// another one, the program ends with an error of usage.
    pub const fn takes(mut self, switches: &'static [&'static str]) -> Command {
        self.switches = switches;
        self
    }

    /// Adds words that the manual page explains below the command, each with its meaning.
    pub const fn explains(mut self, details: &'static [(&'static str, &'static str)]) -> Command {
        self.details = details;
        self
    }

    /// Returns the command's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns whether the explained words are exit statuses.
    pub(crate) fn has_own_statuses(&self) -> bool {
        !self.details.is_empty() && self.details.iter().all(|(word, _)| word.parse::<u8>().is_ok())
    }

    /// Returns the command with what it takes.
    pub(crate) fn synopsis(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }

    /// Returns the words that it takes.
    pub(crate) fn words(&self) -> Vec<Word> {
        let words = self.arguments.split_whitespace();
        words.filter(|word| word.contains(|c: char| c.is_alphabetic())).map(Word::new).collect()
    }
}

impl Word {
    fn new(text: &'static str) -> Word {
        let bare = text.trim_matches(['[', ']', '.']);
        let values = if bare.contains('<') { Vec::new() } else { bare.split('|').collect() };
        Word { text, values }
    }
}

/// Renders the commands as `--help` ends with them.
pub(crate) fn list(commands: &[Command]) -> String {
    let mut text = "Commands:".to_owned();
    for command in commands {
        let synopsis = format!("  {}", command.synopsis());
        let mut head = synopsis.as_str();
        if head.len() + 2 > COLUMN {
            let _ = write!(text, "\n{head}");
            head = "";
        }
        for line in wrap(command.doc, WIDTH - COLUMN) {
            let _ = write!(text, "\n{head:COLUMN$}{line}");
            head = "";
        }
    }
    text
}

/// Fails when a command is given with one of the program's switches that it does not take.
pub(crate) fn check_switches<'a>(
    commands: &[Command],
    command: &str,
    given: impl IntoIterator<Item = &'a str>,
) -> Result<(), Error> {
    let Some(command) = commands.iter().find(|known| known.name == command) else { return Ok(()) };
    match given.into_iter().find(|switch| !command.switches.contains(switch)) {
        Some(switch) => Err(Error::usage(format!("command `{}` takes no --{switch}", command.name))),
        None => Ok(()),
    }
}

/// Returns what is wrong with arguments that the program does not take.
pub(crate) fn misuse(program: &str, commands: &[Command], arguments: &[&str]) -> Error {
    let wrong = match arguments.first() {
        None => "no command given".to_owned(),
        Some(given) => match commands.iter().find(|command| command.name == *given) {
            Some(Command { name, arguments: "", .. }) => format!("command `{name}` takes no arguments"),
            Some(Command { name, arguments, .. }) => format!("command `{name}` takes {arguments}"),
            None => match nearest(given, commands.iter().map(|command| command.name)) {
                Some(nearest) => format!("unknown command `{given}`; do you mean `{nearest}`?"),
                None => format!("unknown command `{given}`"),
            },
        },
    };
    let separator = if wrong.ends_with('?') { "" } else { ";" };
    Error::usage(format!("{wrong}{separator} `{program} --help` lists the commands"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const COMMANDS: [Command; 3] = [
        Command::new("drop", "<queue>...", "Drops queues."),
        Command::new(
            "failed",
            "list|retry <queue> [<event> ...]",
            "Handles the events that consumers gave up.",
        ),
        Command::new("status", "", "Shows what there is."),
    ];

    #[test]
    fn words_have_the_values_that_are_written() {
        let words = COMMANDS[1].words();
        let texts: Vec<&str> = words.iter().map(|word| word.text).collect();
        assert_eq!(texts, ["list|retry", "<queue>", "[<event>"]);
        assert_eq!((&*words[0].values, words[1].values.len()), (&["list", "retry"][..], 0));
        assert_eq!(Command::new("install", "[pgq]", "").words()[0].values, ["pgq"]);
        assert!(COMMANDS[2].words().is_empty());
    }

    #[test]
    fn commands_are_listed_with_what_they_take() {
        let expected = "Commands:\n  drop <queue>...                   Drops queues.\n  \
                        failed list|retry <queue> [<event> ...]\n                                    \
                        Handles the events that consumers gave up.\n  \
                        status                            Shows what there is.";
        assert_eq!(list(&COMMANDS), expected);
    }

    #[test]
    fn a_switch_belongs_to_the_commands_that_take_it() {
        let commands = [COMMANDS[0].takes(&["force"]), COMMANDS[2]];
        let check = |command: &str, given: &[&str]| {
            check_switches(&commands, command, given.iter().copied()).map_err(|error| error.to_string())
        };
        assert_eq!(check("drop", &["force"]), Ok(()));
        assert_eq!(check("status", &[]), Ok(()));
        assert_eq!(check("drop", &["force", "at"]), Err("command `drop` takes no --at".to_owned()));
        assert_eq!(check("status", &["force"]), Err("command `status` takes no --force".to_owned()));
        assert_eq!(check("fly", &["force"]), Ok(()), "that is told otherwise");
    }

    #[test]
    fn a_misuse_is_told_with_the_way_out() {
        let check = |arguments: &[&str], expected: &str| {
            let error = misuse("prog", &COMMANDS, arguments);
            assert_eq!(error.to_string(), format!("{expected} `prog --help` lists the commands"));
            assert!(error.kind() == ErrorKind::Usage);
        };
        check(&[], "no command given;");
        check(&["drop"], "command `drop` takes <queue>...;");
        check(&["status", "x"], "command `status` takes no arguments;");
        check(&["stats"], "unknown command `stats`; do you mean `status`?");
        check(&["fly"], "unknown command `fly`;");
    }
}
