//! The command line: the switches of every program, and those that a program adds.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use clap_complete::Shell;
use log::LevelFilter;
use nix::sys::signal::Signal;

use crate::error::Error;
use crate::run::command;

/// The switches, options and arguments on the command line.
pub struct Switches {
    given: ArgMatches,
    program: String,
    commands: Vec<crate::run::command::Command>,
    /// The names of the switches that the program added.
    added: Vec<&'static str>,
}

/// Shows no values: `--set` may contain a password.
impl std::fmt::Debug for Switches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Switches").finish_non_exhaustive()
    }
}

/// A switch that a program adds to the common ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extra {
    pub(crate) name: &'static str,
    /// The placeholder of its value in `--help`; `None` for a switch without a value.
    pub(crate) value: Option<&'static str>,
    /// The value of an option that is given without one. An explicit value then follows a `=`.
    pub(crate) missing: Option<&'static str>,
    /// The values that completions offer.
    pub(crate) values: &'static [&'static str],
    pub(crate) doc: &'static str,
}

impl Extra {
    fn arg(&self) -> Arg {
        match self.value {
            None => flag(self.name, self.doc),
            Some(value) => {
                let arg = Arg::new(self.name).long(self.name).value_name(value).help(self.doc);
                let arg = arg.overrides_with(self.name).value_hint(ValueHint::Other);
                match self.missing {
                    None => arg,
                    Some(missing) => arg.num_args(0..=1).require_equals(true).default_missing_value(missing),
                }
            }
        }
    }
}

impl Switches {
    /// Returns true if a switch that the program added was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.try_get_one::<bool>(name).ok().flatten().is_some_and(|given| *given)
    }

    /// Returns the value of an option that the program added, or `None` if the option was not given. If it was given
    /// several times, the last value counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.given.try_get_one::<String>(name).ok().flatten().map(String::as_str)
    }

    /// Returns the arguments after the config file. In a program with commands, the first is the command.
    pub fn arguments(&self) -> Vec<&str> {
        let given = self.given.try_get_many::<String>("arguments").ok().flatten();
        given.into_iter().flatten().map(String::as_str).collect()
    }

    /// Makes the usage error of arguments that the program does not accept: a missing command, an unknown command, or
    /// a command with wrong arguments.
    pub fn misuse(&self) -> Error {
        command::misuse(&self.program, &self.commands, &self.arguments())
    }

    /// Checks that the command accepts the switches that were given.
    pub(crate) fn check_command(&self) -> Result<(), Error> {
        let Some(command) = self.arguments().first().copied() else { return Ok(()) };
        let is_given = |name: &&str| self.given.value_source(name) == Some(ValueSource::CommandLine);
        command::check_switches(&self.commands, command, self.added.iter().copied().filter(is_given))
    }

    pub(crate) fn config_file(&self) -> Option<&PathBuf> {
        self.given.get_one("config")
    }

    pub(crate) fn daemon(&self) -> bool {
        self.given.get_flag("daemon")
    }

    pub(crate) fn sample(&self) -> bool {
        self.given.get_flag("ini")
    }

    pub(crate) fn manual(&self) -> bool {
        self.given.get_flag("man")
    }

    pub(crate) fn completions(&self) -> Option<Shell> {
        self.given.get_one("completions").copied()
    }

    pub(crate) fn level(&self) -> LevelFilter {
        match (self.given.get_flag("quiet"), self.given.get_count("verbose")) {
            (true, _) => LevelFilter::Warn,
            (false, 0) => LevelFilter::Info,
            (false, 1) => LevelFilter::Debug,
            (false, _) => LevelFilter::Trace,
        }
    }

    /// Returns the signal that the switches send to the running process, if any.
    pub(crate) fn signal(&self) -> Option<Signal> {
        let signals = [("reload", Signal::SIGHUP), ("stop", Signal::SIGINT), ("kill", Signal::SIGTERM)];
        signals.into_iter().find(|(switch, _)| self.given.get_flag(switch)).map(|(_, signal)| signal)
    }

    /// Returns the pairs of key and value of `--set`.
    pub(crate) fn set(&self) -> Result<Vec<(String, String)>, Error> {
        let given = self.given.get_many::<String>("set").into_iter().flatten();
        given
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    Ok((key.trim().to_owned(), value.trim().to_owned()))
                }
                _ => Err(Error::usage(format!("--set must be PARAM=VAL, not `{pair}`"))),
            })
            .collect()
    }
}

/// Adds the common switches, the switches of `extra`, and the config file to a command.
pub(crate) fn complete(command: Command, extra: &[Extra], arguments: Option<&'static str>) -> Command {
    let mut command = command
        .disable_version_flag(true)
        .arg(
            Arg::new("config")
                .value_name("config.ini")
                .value_parser(clap::value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("Config file"),
        )
        .args(extra.iter().map(Extra::arg))
        .arg(flag("quiet", "Log warnings and errors only").short('q').conflicts_with("verbose"))
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::Count)
                .help("Log debug messages too; twice: trace"),
        )
        .arg(flag("daemon", "Go background; needs `pidfile`").short('d'))
        .args(printing())
        .arg(
            Arg::new("set")
                .long("set")
                .value_name("PARAM=VAL")
                .value_hint(ValueHint::Other)
                .action(ArgAction::Append)
                .help("Override a value of the config file"),
        )
        .arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
        );
    if let Some(usage) = arguments {
        let help = "Command and its arguments";
        command = command.arg(Arg::new("arguments").value_name(usage).num_args(0..).help(help));
    }
    control(command)
}

/// The switches that print a text instead of running the program.
fn printing() -> [Arg; 3] {
    let completions = Arg::new("completions")
        .long("completions")
        .value_name("SHELL")
        .value_parser(clap::value_parser!(Shell))
        .help("Print completions of the command line for a shell");
    [
        flag("ini", "Print a commented sample config file"),
        flag("man", "Print a manual page, for `man -l -`"),
        completions,
    ]
}

/// Adds the switches that control a running process.
fn control(command: Command) -> Command {
    command
        .next_help_heading("Control a running process")
        .arg(
            flag("reload", "Reload config (send SIGHUP)")
                .short('r')
                .conflicts_with_all(["stop", "kill", "daemon"]),
        )
        .arg(
            flag("stop", "Stop program safely (send SIGINT)")
                .short('s')
                .conflicts_with_all(["kill", "daemon"]),
        )
        .arg(flag("kill", "Kill program immediately (send SIGTERM)").short('k').conflicts_with("daemon"))
}

fn flag(name: &'static str, doc: &'static str) -> Arg {
    // A wrapper script may repeat a switch.
    Arg::new(name).long(name).action(ArgAction::SetTrue).overrides_with(name).help(doc)
}

/// The result of a command line that does not run the program.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u8,
    /// The error in one line; `None` after help or version was printed.
    pub(crate) line: Option<String>,
    /// The arguments after the config file, as far as the parser recognized them.
    pub(crate) arguments: Vec<String>,
}

/// Parses the command line. Prints help and version.
pub(crate) fn parse(
    command: Command,
    commands: &[crate::run::command::Command],
    extra: &[Extra],
    args: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<Switches, Refusal> {
    let program = command.get_name().to_owned();
    let args: Vec<_> = args.into_iter().collect();
    let added = extra.iter().map(|extra| extra.name).collect();
    let switches = |given| Switches { given, program: program.clone(), commands: commands.to_vec(), added };
    match command.clone().try_get_matches_from(&args) {
        Ok(given) => Ok(switches(given)),
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            let line = format!("{program}: {line}; `{program} --help` lists the switches");
            let recognized = command.ignore_errors(true).try_get_matches_from(&args).map(switches);
            let arguments = recognized.iter().flat_map(Switches::arguments).map(str::to_owned).collect();
            Err(Refusal { status: 2, line: Some(line), arguments })
        }
        Err(help_or_version) => {
            // A closed standard output is not a failure.
            let _ = help_or_version.print();
            Err(Refusal { status: 0, line: None, arguments: Vec::new() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Switches, Refusal> {
        let extra = [
            Extra { name: "register", value: None, missing: None, values: &[], doc: "Register." },
            Extra { name: "limit", value: Some("ROWS"), missing: None, values: &[], doc: "Rows." },
            Extra { name: "watch", value: Some("SECONDS"), missing: Some("2"), values: &[], doc: "Watch." },
        ];
        let command = complete(Command::new("prog").version("1"), &extra, Some("COMMAND"));
        parse(command, &[], &extra, line.split(' ').map(Into::into))
    }

    fn status(line: &str) -> Option<u8> {
        parse_line(line).err().map(|refusal| refusal.status)
    }

    #[test]
    fn a_program_may_take_no_arguments() {
        let parse = |line: &str| {
            parse(
                complete(Command::new("prog").version("1"), &[], None),
                &[],
                &[],
                line.split(' ').map(Into::into),
            )
        };
        assert!(parse("prog x.ini").expect("valid").arguments().is_empty());
        assert!(parse("prog x.ini more").expect_err("too many").arguments.is_empty());
    }

    #[test]
    fn a_refusal_contains_the_arguments_before_the_error() {
        for (line, arguments) in [
            ("prog x.ini check q --wrong", &["check", "q"][..]),
            ("prog x.ini check --limit", &["check"]),
            ("prog x.ini check --register=5", &["check"]),
            ("prog --wrong x.ini check", &[]),
        ] {
            assert_eq!(parse_line(line).expect_err(line).arguments, arguments, "{line}");
        }
    }

    #[test]
    fn switches_may_precede_or_follow_the_file() {
        for line in ["prog -d -v x.ini create q", "prog x.ini create q -v -d", "prog x.ini -dv create q"] {
            let switches = parse_line(line).expect(line);
            assert!(switches.daemon());
            assert_eq!(switches.level(), LevelFilter::Debug);
            assert_eq!(switches.config_file(), Some(&PathBuf::from("x.ini")));
            assert_eq!(switches.arguments(), ["create", "q"]);
        }
    }

    #[test]
    fn options_have_the_value_that_was_given_last() {
        let switches = parse_line("prog --limit 1 x.ini --limit=2").expect("valid");
        assert_eq!((switches.value("limit"), switches.has("limit")), (Some("2"), false));
        assert_eq!(parse_line("prog x.ini").expect("valid").value("limit"), None);
        assert_eq!(parse_line("prog --register x.ini").expect("valid").value("register"), None);
        assert_eq!(status("prog x.ini --limit"), Some(2));
    }

    #[test]
    fn the_value_of_an_option_with_a_default_may_be_omitted() {
        for (line, value) in [
            ("prog x.ini status --watch", Some("2")),
            ("prog --watch x.ini status", Some("2")),
            ("prog x.ini status --watch=0.5", Some("0.5")),
            ("prog x.ini status", None),
        ] {
            let switches = parse_line(line).expect(line);
            assert_eq!((switches.value("watch"), switches.arguments()), (value, vec!["status"]), "{line}");
        }
    }

    #[test]
    fn a_switch_may_be_repeated() {
        assert!(parse_line("prog -d -d -q -q --register --register x.ini").expect("valid").daemon());
    }

    #[test]
    fn control_switches_select_signals() {
        for (switch, signal) in [("-r", Signal::SIGHUP), ("-s", Signal::SIGINT), ("--kill", Signal::SIGTERM)]
        {
            assert_eq!(parse_line(&format!("prog {switch} x.ini")).expect(switch).signal(), Some(signal));
        }
        assert_eq!(parse_line("prog x.ini").expect("valid").signal(), None);
        assert_eq!(status("prog -s -k x.ini"), Some(2));
    }

    #[test]
    fn pairs_are_split_at_the_first_equals_sign() {
        let switches = parse_line("prog --set src_db=dbname=x --set a= x.ini").expect("valid");
        let expected = [("src_db".to_owned(), "dbname=x".to_owned()), ("a".to_owned(), String::new())];
        assert_eq!(switches.set().expect("pairs"), expected);
        assert!(parse_line("prog --set nothing x.ini").expect("valid").set().is_err());
    }

    #[test]
    fn only_added_switches_are_accepted() {
        assert!(parse_line("prog --register x.ini").expect("valid").has("register"));
        assert!(!parse_line("prog x.ini").expect("valid").has("register"));
        assert!(!parse_line("prog x.ini").expect("valid").has("rewind"));
        assert_eq!(status("prog --rewind x.ini"), Some(2));
    }
}
