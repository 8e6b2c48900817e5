//! Commands of a program: name, arguments and description, which `--help`, the manual page and the completions show.

use std::fmt::Write;

use crate::error::Error;
use crate::text::suggestion::suggest;
use crate::text::wrap::wrap;

/// The widest line of `--help`, in characters.
const WIDTH: usize = 100;
/// The column in which the descriptions of commands begin.
const COLUMN: usize = 36;

/// A command of a program: the first argument after the config file.
///
/// A program declares its commands as constants; `--help`, the manual page and the completions list them.
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
    /// The switches and options of the program that the command accepts.
    pub(crate) switches: &'static [&'static str],
    /// Words that the manual page explains, each with its explanation.
    pub(crate) details: &'static [(&'static str, &'static str)],
}

/// One word of a command's arguments, for completions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word, including brackets.
    pub(crate) text: &'static str,
    /// The alternatives between `|`; empty for a placeholder such as `<queue>`.
    pub(crate) values: Vec<&'static str>,
}

impl Command {
    /// Declares a command. `arguments` is a synopsis: `<name>` stands for any text, `[…]` is optional, `...` repeats,
    /// and other words are literal, with `|` between alternatives.
    pub const fn new(name: &'static str, arguments: &'static str, doc: &'static str) -> Command {
        Command { name, arguments, doc, switches: &[], details: &[] }
    }

    /// Sets the program's own switches and options that the command accepts. Defaults to none. With this command, any
    /// other of the program's own switches is a usage error.
    pub const fn takes(mut self, switches: &'static [&'static str]) -> Command {
        self.switches = switches;
        self
    }

    /// Sets the words that the manual page explains below the command, each with its explanation.
    pub const fn explains(mut self, details: &'static [(&'static str, &'static str)]) -> Command {
        self.details = details;
        self
    }

    /// Returns the command's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns true if the explained words are exit statuses.
    pub(crate) fn has_own_statuses(&self) -> bool {
        !self.details.is_empty() && self.details.iter().all(|(word, _)| word.parse::<u8>().is_ok())
    }

    /// Returns the command with its arguments.
    pub(crate) fn synopsis(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }

    /// Returns the words of its arguments.
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

/// Renders the list of commands at the end of `--help`.
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

/// Checks that a command accepts the program's own switches that are given with it.
pub(crate) fn check_switches<'a>(
    commands: &[Command],
    command: &str,
    given: impl IntoIterator<Item = &'a str>,
) -> Result<(), Error> {
    let Some(command) = commands.iter().find(|candidate| candidate.name == command) else { return Ok(()) };
    match given.into_iter().find(|switch| !command.switches.contains(switch)) {
        Some(switch) => Err(Error::usage(format!("command `{}` takes no --{switch}", command.name))),
        None => Ok(()),
    }
}

/// Makes the usage error of arguments that the program does not accept.
pub(crate) fn misuse(program: &str, commands: &[Command], arguments: &[&str]) -> Error {
    let reason = match arguments.first() {
        None => "no command given".to_owned(),
        Some(given) => match commands.iter().find(|command| command.name == *given) {
            Some(Command { name, arguments: "", .. }) => format!("command `{name}` takes no arguments"),
            Some(Command { name, arguments, .. }) => format!("command `{name}` takes {arguments}"),
            None => match suggest(given, commands.iter().map(|command| command.name)) {
                Some(suggestion) => format!("unknown command `{given}`; did you mean `{suggestion}`?"),
                None => format!("unknown command `{given}`"),
            },
        },
    };
    let separator = if reason.ends_with('?') { "" } else { ";" };
    Error::usage(format!("{reason}{separator} `{program} --help` lists the commands"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const COMMANDS: [Command; 3] = [
        Command::new("drop", "<queue>...", "Drops queues."),
        Command::new("failed", "list|retry <queue> [<event> ...]", "Handles the failed events of consumers."),
        Command::new("status", "", "Shows what there is."),
    ];

    #[test]
    fn words_have_the_alternatives_of_the_synopsis() {
        let words = COMMANDS[1].words();
        let texts: Vec<&str> = words.iter().map(|word| word.text).collect();
        assert_eq!(texts, ["list|retry", "<queue>", "[<event>"]);
        assert_eq!((&*words[0].values, words[1].values.len()), (&["list", "retry"][..], 0));
        assert_eq!(Command::new("install", "[pgq]", "").words()[0].values, ["pgq"]);
        assert!(COMMANDS[2].words().is_empty());
    }

    #[test]
    fn commands_are_listed_with_their_arguments() {
        let expected = "Commands:\n  drop <queue>...                   Drops queues.\n  \
                        failed list|retry <queue> [<event> ...]\n                                    \
                        Handles the failed events of consumers.\n  \
                        status                            Shows what there is.";
        assert_eq!(list(&COMMANDS), expected);
    }

    #[test]
    fn a_switch_belongs_to_the_commands_that_accept_it() {
        let commands = [COMMANDS[0].takes(&["force"]), COMMANDS[2]];
        let check = |command: &str, given: &[&str]| {
            check_switches(&commands, command, given.iter().copied()).map_err(|error| error.to_string())
        };
        assert_eq!(check("drop", &["force"]), Ok(()));
        assert_eq!(check("status", &[]), Ok(()));
        assert_eq!(check("drop", &["force", "at"]), Err("command `drop` takes no --at".to_owned()));
        assert_eq!(check("status", &["force"]), Err("command `status` takes no --force".to_owned()));
        assert_eq!(check("fly", &["force"]), Ok(()), "the program reports an unknown command itself");
    }

    #[test]
    fn a_misuse_is_reported_with_a_hint() {
        let check = |arguments: &[&str], expected: &str| {
            let error = misuse("prog", &COMMANDS, arguments);
            assert_eq!(error.to_string(), format!("{expected} `prog --help` lists the commands"));
            assert!(error.kind() == ErrorKind::Usage);
        };
        check(&[], "no command given;");
        check(&["drop"], "command `drop` takes <queue>...;");
        check(&["status", "x"], "command `status` takes no arguments;");
        check(&["stats"], "unknown command `stats`; did you mean `status`?");
        check(&["fly"], "unknown command `fly`;");
    }
}
