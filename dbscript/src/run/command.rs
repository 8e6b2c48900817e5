//! Commands of a program: name, arguments and description, which help, the manual page and the completions show.

use crate::error::Error;
use crate::text::suggestion::suggest;

/// A command of a program: the first argument after the config file.
///
/// A program declares its commands as constants; `--help`, the manual page and the completions list them, and
/// `--help` after a command describes it.
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
    /// Words that help and the manual page explain, each with its explanation.
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

    /// Sets the words that help and the manual page explain below the command, each with its explanation.
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

    /// Returns the first sentence of its description.
    pub(crate) fn summary(&self) -> &'static str {
        self.doc.find(". ").map_or(self.doc, |end| &self.doc[..=end])
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

/// Returns the command of a name.
pub(crate) fn find<'a>(commands: &'a [Command], name: &str) -> Option<&'a Command> {
    commands.iter().find(|command| command.name == name)
}

/// Checks that a command accepts the program's own switches that are given with it.
pub(crate) fn check_switches<'a>(
    program: &str,
    command: &Command,
    given: impl IntoIterator<Item = &'a str>,
) -> Result<(), Error> {
    let name = command.name;
    match given.into_iter().find(|switch| !command.switches.contains(switch)) {
        Some(switch) => Err(Error::usage(format!(
            "command `{name}` takes no --{switch}; `{program} {name} --help` lists the options"
        ))),
        None => Ok(()),
    }
}

/// Makes the usage error of arguments that the program does not accept.
pub(crate) fn misuse(program: &str, commands: &[Command], arguments: &[&str]) -> Error {
    let list = format!("`{program} --help` lists the commands");
    let Some(given) = arguments.first() else {
        return Error::usage(format!("no command given; {list}"));
    };
    if let Some(Command { name, arguments, .. }) = find(commands, given) {
        let taken = if arguments.is_empty() { "no arguments" } else { arguments };
        return Error::usage(format!(
            "command `{name}` takes {taken}; `{program} {name} --help` describes the command"
        ));
    }
    match suggest(given, commands.iter().map(|command| command.name)) {
        Some(suggestion) => {
            Error::usage(format!("unknown command `{given}`; did you mean `{suggestion}`? {list}"))
        }
        None => Error::usage(format!("unknown command `{given}`; {list}")),
    }
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
    fn the_first_sentence_of_the_description_is_the_summary() {
        let summary = |doc: &'static str| Command::new("c", "", doc).summary();
        assert_eq!(summary("Drops a queue. Asks for confirmation."), "Drops a queue.");
        assert_eq!(summary("Seconds, as in 0.5 or so."), "Seconds, as in 0.5 or so.");
        assert_eq!(summary(""), "");
    }

    #[test]
    fn a_switch_belongs_to_the_commands_that_accept_it() {
        let commands = [COMMANDS[0].takes(&["force"]), COMMANDS[2]];
        let check = |command: &str, given: &[&str]| {
            let command = find(&commands, command).expect("declared");
            check_switches("prog", command, given.iter().copied()).map_err(|error| error.to_string())
        };
        let refused = |command: &str, switch: &str| {
            Err(format!("command `{command}` takes no --{switch}; `prog {command} --help` lists the options"))
        };
        assert_eq!(check("drop", &["force"]), Ok(()));
        assert_eq!(check("status", &[]), Ok(()));
        assert_eq!(check("drop", &["force", "at"]), refused("drop", "at"));
        assert_eq!(check("status", &["force"]), refused("status", "force"));
    }

    #[test]
    fn a_misuse_is_reported_with_a_hint() {
        let check = |arguments: &[&str], expected: &str| {
            let error = misuse("prog", &COMMANDS, arguments);
            assert_eq!(error.to_string(), expected);
            assert!(error.kind() == ErrorKind::Usage);
        };
        check(&[], "no command given; `prog --help` lists the commands");
        check(&["drop"], "command `drop` takes <queue>...; `prog drop --help` describes the command");
        check(
            &["status", "x"],
            "command `status` takes no arguments; `prog status --help` describes the command",
        );
        check(&["stats"], "unknown command `stats`; did you mean `status`? `prog --help` lists the commands");
        check(&["fly"], "unknown command `fly`; `prog --help` lists the commands");
    }
}
