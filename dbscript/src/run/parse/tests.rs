use std::path::Path;

use log::LevelFilter;
use nix::sys::signal::Signal;

use super::*;
use crate::run::args::Extra;
use crate::run::command::Command;

const COMMANDS: [Command; 2] = [
    Command::new("status", "[queue]", "Status.").takes(&["watch"]),
    Command::new("drop", "<queue>", "Drop."),
];

/// Describes a program with three switches and any arguments.
fn description() -> Description {
    let extra = |name, value, missing| Extra { name, value, missing, values: &[], doc: "Doc." };
    let mut description = Description::new("prog");
    description.arguments = Some("COMMAND");
    description.switches = vec![
        extra("register", None, None),
        extra("limit", Some("ROWS"), None),
        extra("watch", Some("SECONDS"), Some("2")),
    ];
    description
}

/// Describes a program with commands that runs without a config file.
fn with_commands() -> Description {
    let mut description = description();
    (description.arguments, description.file_replacement) = (None, Some("db"));
    description.commands = COMMANDS.to_vec();
    description
}

fn parse_words(description: &Description, line: &str) -> Result<Switches, Refusal> {
    parse(description, line.split(' ').map(Into::into))
}

fn parse_line(line: &str) -> Result<Switches, Refusal> {
    parse_words(&description(), line)
}

fn status(line: &str) -> Option<u8> {
    parse_line(line).err().map(|refusal| refusal.status)
}

#[test]
fn a_program_may_take_no_arguments() {
    let description = Description::new("prog");
    assert!(parse_words(&description, "prog x.ini").expect("valid").arguments().is_empty());
    assert!(parse_words(&description, "prog x.ini more").expect_err("too many").arguments.is_empty());
}

#[test]
fn a_command_is_recognized_with_and_without_a_file() {
    for (line, file, arguments) in [
        ("prog x.ini status q", Some("x.ini"), &["status", "q"][..]),
        ("prog status q", None, &["status", "q"]),
        ("prog --db dbname=x status q", None, &["status", "q"]),
        ("prog status q --db=dbname=x", None, &["status", "q"]),
        ("prog --db dbname=x fly", None, &["fly"]),
        ("prog --db dbname=x x.ini drop", Some("x.ini"), &["drop"]),
    ] {
        let switches = parse_words(&with_commands(), line).expect(line);
        assert_eq!(
            (switches.config_file(), &*switches.arguments()),
            (file.map(Path::new), arguments),
            "{line}"
        );
    }
}

#[test]
fn a_command_has_its_page_of_help_wherever_help_is_asked_for() {
    let title = |line: &str| {
        let args: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let page = page(&with_commands(), &args, ErrorKind::DisplayHelp);
        page.map(|mut page| page.render_help().to_string().lines().next().map(str::to_owned))
            .unwrap_or_default()
    };
    for line in [
        "prog x.ini drop --help",
        "prog drop -h",
        "prog --db x drop q --help",
        "prog drop --help --db x",
        "prog --help --version drop",
    ] {
        assert_eq!(title(line).as_deref(), Some("Drop."), "{line}");
    }
    for line in ["prog --help", "prog x.ini -h", "prog x.ini fly --help"] {
        assert_eq!(title(line), None, "{line}");
    }
}

#[test]
fn help_shows_the_options_of_a_command_on_its_page_only() {
    let mut parser = with_commands().parser();
    let help = parser.render_help().to_string();
    assert!(help.contains("--db <CONNINFO>") && help.contains("--register"), "{help}");
    assert!(help.contains("\n  drop <queue>") && !help.contains("--watch"), "{help}");
    let page = with_commands().page(&COMMANDS[0]).render_help().to_string();
    assert!(page.contains("--watch[=<SECONDS>]") && !page.contains("--register"), "{page}");
    assert!(
        !page.contains("--quiet") && page.contains("prog [OPTIONS] --db CONNINFO status [queue]"),
        "{page}"
    );
}

#[test]
fn a_refusal_names_the_help_of_the_command() {
    let line = |line: &str| parse_words(&with_commands(), line).expect_err(line).line.expect("an error");
    let expected = "prog: unexpected argument '--wrong' found; `prog drop --help` lists the options";
    assert_eq!(line("prog x.ini drop --wrong"), expected);
    assert_eq!(line("prog drop --wrong"), expected);
    let expected = "prog: unexpected argument '--wrong' found; `prog --help` lists the switches";
    assert_eq!(line("prog x.ini --wrong"), expected);
    assert!(line("prog status --completions tcsh").contains("invalid value 'tcsh'"));
    let missing = line("prog status --db");
    assert!(missing.contains("a value is required for '--db <CONNINFO>'"), "{missing}");
}

#[test]
fn pidfile_switches_need_a_file() {
    for (line, switch) in [
        ("prog -d drop", Some("-d")),
        ("prog --stop", Some("-s")),
        ("prog -k", Some("-k")),
        ("prog -r x.ini", Some("-r")),
        ("prog drop", None),
    ] {
        assert_eq!(parse_words(&with_commands(), line).expect(line).needs_file(), switch, "{line}");
    }
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
        assert_eq!(switches.config_file(), Some(Path::new("x.ini")));
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
    for (switch, signal) in [("-r", Signal::SIGHUP), ("-s", Signal::SIGINT), ("--kill", Signal::SIGTERM)] {
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
