//! The positional arguments: the config file, and the arguments after it or in its place.

use std::path::{Path, PathBuf};

use crate::run::command::{self, Command};

/// The positional arguments of a command line.
#[derive(Debug, PartialEq)]
pub(crate) struct Positionals {
    pub(crate) file: Option<PathBuf>,
    /// The arguments after the config file. In a program with commands, the first is the command.
    pub(crate) arguments: Vec<String>,
}

/// The parts of a command line on which the meaning of the first argument depends.
pub(crate) struct Grammar<'a> {
    pub(crate) commands: &'a [Command],
    /// True if the program accepts arguments after the config file.
    pub(crate) takes_arguments: bool,
    /// True if the switch that replaces the config file is given.
    pub(crate) has_database: bool,
    /// True if a switch is given that sends a signal to the running process.
    pub(crate) is_control: bool,
}

impl Grammar<'_> {
    /// Splits the arguments into the config file and the arguments after it.
    pub(crate) fn split(&self, first: Option<PathBuf>, rest: Vec<String>) -> Positionals {
        let Some(first) = first else { return Positionals { file: None, arguments: rest } };
        match first.to_str() {
            Some(word) if self.replaces_file(word, &rest) => {
                let arguments = std::iter::once(word.to_owned()).chain(rest).collect();
                Positionals { file: None, arguments }
            }
            _ => Positionals { file: Some(first), arguments: rest },
        }
    }

    /// Returns true if the first argument is not the config file. Otherwise, a file and a switch that exclude each
    /// other are a usage error.
    ///
    /// A file whose name is that of a command remains usable: it is the config file if a command or a signal is for
    /// it.
    fn replaces_file(&self, word: &str, rest: &[String]) -> bool {
        let precedes_command = || rest.first().is_some_and(|next| self.is_command(next));
        match (self.is_command(word), self.has_database) {
            (true, true) => true,
            (true, false) => !(is_file(word) && (self.is_control || precedes_command())),
            (false, true) => self.takes_arguments && !is_file(word) && !precedes_command(),
            (false, false) => false,
        }
    }

    fn is_command(&self, word: &str) -> bool {
        command::find(self.commands, word).is_some()
    }
}

/// Returns true for an existing file of any kind except a folder.
fn is_file(path: &str) -> bool {
    Path::new(path).metadata().is_ok_and(|found| !found.is_dir())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const COMMANDS: [Command; 2] =
        [Command::new("status", "[queue]", ""), Command::new("drop", "<queue>", "")];
    const PLAIN: Grammar<'static> =
        Grammar { commands: &COMMANDS, takes_arguments: true, has_database: false, is_control: false };
    const WITH_DATABASE: Grammar<'static> = Grammar { has_database: true, ..PLAIN };

    #[track_caller]
    fn check(grammar: &Grammar<'_>, words: &[&str], file: Option<&str>, arguments: &[&str]) {
        let mut words = words.iter().map(|word| (*word).to_owned());
        let first = words.next().map(PathBuf::from);
        let found = grammar.split(first, words.collect());
        assert_eq!(found.file.as_deref(), file.map(Path::new));
        assert_eq!(found.arguments, arguments);
    }

    #[test]
    fn the_file_precedes_the_command() {
        check(&PLAIN, &[], None, &[]);
        check(&PLAIN, &["x.ini"], Some("x.ini"), &[]);
        check(&PLAIN, &["x.ini", "status", "q"], Some("x.ini"), &["status", "q"]);
        check(&PLAIN, &["stats", "q"], Some("stats"), &["q"]);
    }

    #[test]
    fn a_command_may_stand_in_the_place_of_the_file() {
        check(&PLAIN, &["status"], None, &["status"]);
        check(&PLAIN, &["drop", "q"], None, &["drop", "q"]);
        check(&PLAIN, &["status", "drop"], None, &["status", "drop"]);
        check(&Grammar { is_control: true, ..PLAIN }, &["drop"], None, &["drop"]);
    }

    #[test]
    fn without_commands_the_first_argument_is_the_file() {
        let none = Grammar { commands: &[], takes_arguments: false, ..WITH_DATABASE };
        check(&none, &["status"], Some("status"), &[]);
        check(&Grammar { takes_arguments: true, ..none }, &["more"], None, &["more"]);
    }

    #[test]
    fn a_database_replaces_the_file() {
        check(&WITH_DATABASE, &["status", "q"], None, &["status", "q"]);
        check(&WITH_DATABASE, &["stats", "q"], None, &["stats", "q"]);
        check(&WITH_DATABASE, &["drop", "status"], None, &["drop", "status"]);
        check(&WITH_DATABASE, &["x.ini", "status"], Some("x.ini"), &["status"]);
    }

    #[test]
    fn an_existing_file_is_the_config_file_if_a_command_or_a_signal_is_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        // A command of that name, so that the test need not change the current folder.
        let name: &'static str = folder.path().join("status").to_string_lossy().into_owned().leak();
        let commands = [Command::new(name, "[queue]", ""), COMMANDS[1]];
        let plain = Grammar { commands: &commands, ..PLAIN };
        let control = Grammar { is_control: true, ..plain };
        let database = Grammar { has_database: true, ..plain };
        fs::create_dir(name).expect("writable");
        check(&plain, &[name, "drop"], None, &[name, "drop"]);
        fs::remove_dir(name).expect("writable");
        fs::write(name, "").expect("writable");
        check(&plain, &[name], None, &[name]);
        check(&plain, &[name, "q"], None, &[name, "q"]);
        check(&plain, &[name, "drop", "q"], Some(name), &["drop", "q"]);
        check(&control, &[name], Some(name), &[]);
        check(&database, &[name, "drop"], None, &[name, "drop"]);
    }

    #[test]
    fn an_existing_file_and_a_database_exclude_each_other() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let name = file.path().to_string_lossy().into_owned();
        check(&WITH_DATABASE, &[&name], Some(&name), &[]);
    }

    #[test]
    fn a_name_that_is_no_text_is_a_file() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let first = PathBuf::from(OsStr::from_bytes(b"\xff"));
        let found = WITH_DATABASE.split(Some(first.clone()), Vec::new());
        assert_eq!(found, Positionals { file: Some(first), arguments: Vec::new() });
    }
}
