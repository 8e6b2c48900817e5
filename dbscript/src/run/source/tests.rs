use super::*;
use crate::config::key::Key;
use crate::error::{ErrorKind, describe};
use crate::run::command::Command;
use crate::run::parse::parse;

const COMMANDS: [Command; 2] =
    [Command::new("status", "[queue]", "Status."), Command::new("ticker", "", "Ticker.")];

fn description(file_replacement: Option<&'static str>) -> Description {
    let mut description = Description::new("prog");
    description.databases = vec![Key::required("db", "Database.")];
    description.commands = COMMANDS.to_vec();
    description.file_replacement = file_replacement;
    description
}

/// Selects the source of a command line, whose words are separated by `|`.
fn select_by(description: &Description, line: &str, env: &[(&str, &str)]) -> Result<Source, Error> {
    let switches = parse(description, line.split('|').map(Into::into)).expect(line);
    let variable =
        |name: &str| env.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
    Source::select(description, &switches, variable)
}

fn select(line: &str, env: &[(&str, &str)]) -> Result<Source, Error> {
    select_by(&description(Some("db")), line, env)
}

#[track_caller]
fn check_source(line: &str, env: &[(&str, &str)], conninfo: &str, origin: &str) {
    let expected = Source::Database { key: "db", conninfo: conninfo.to_owned(), origin: origin.to_owned() };
    assert_eq!(select(line, env).expect(line), expected);
}

#[track_caller]
fn check_error(line: &str, expected: &str) {
    let error = select(line, &[]).expect_err(line);
    assert_eq!(describe(&error), expected, "{line}");
    assert!(error.kind() == ErrorKind::Usage, "{line}");
}

#[test]
fn the_command_line_counts_before_the_environment() {
    let env = [("PGDATABASE", "y")];
    assert_eq!(select("prog|x.ini|status", &env).expect("a file"), Source::File("x.ini".into()));
    check_source("prog|--db|dbname=x|status", &env, "dbname=x", "--db");
    check_source("prog|status|--db=postgresql://u:p%40@h/x", &env, "postgresql://u:p%40@h/x", "--db");
}

#[test]
fn the_environment_names_a_database() {
    check_source("prog|status", &[("PGDATABASE", "x")], "dbname='x'", "PGDATABASE");
    check_source("prog|status", &[("PGDATABASE", r"it's \")], r"dbname='it\'s \\'", "PGDATABASE");
    check_source("prog|status", &[("PGSERVICE", "s"), ("PGDATABASE", "x")], "service='s'", "PGSERVICE");
    check_source("prog|status", &[("PGSERVICE", ""), ("PGDATABASE", "x")], "dbname='x'", "PGDATABASE");
    check_source("prog", &[("PGDATABASE", "x")], "dbname='x'", "PGDATABASE");
    assert!(select("prog|status", &[("PGHOST", "h"), ("PGDATABASE", "")]).is_err());
}

#[test]
fn a_missing_file_is_reported_with_the_ways_to_name_a_database() {
    check_error(
        "prog|status",
        "no config file given: `status` is a command; run `prog FILE status` or `prog --db CONNINFO status`, or set PGDATABASE",
    );
    check_error(
        "prog|-q",
        "no config file given; `prog --ini` prints a sample, `prog --help` lists the switches",
    );
    let error = select_by(&description(None), "prog|status", &[("PGDATABASE", "x")]).expect_err("no file");
    let expected = "no config file given: `status` is a command; run `prog FILE status`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn switches_that_need_the_pidfile_require_a_file() {
    check_error("prog|-d|ticker", "-d requires a config file with `pidfile`; run `prog -d FILE ticker`");
    check_error("prog|-s", "-s requires a config file with `pidfile`; run `prog -s FILE`");
    check_error(
        "prog|-d|--db|dbname=x|ticker",
        "-d requires a config file with `pidfile`, which --db cannot replace; run `prog -d FILE ticker`",
    );
    check_error(
        "prog|--kill|--db|dbname=x",
        "-k requires a config file with `pidfile`, which --db cannot replace; run `prog -k FILE`",
    );
    let error = select("prog|-r|ticker", &[("PGDATABASE", "x")]).expect_err("no file");
    assert_eq!(error.to_string(), "-r requires a config file with `pidfile`; run `prog -r FILE ticker`");
}

#[test]
fn contradictions_are_refused() {
    check_error(
        "prog|x.ini|status|--db|dbname=x",
        "config file `x.ini` and --db exclude each other; give one of them",
    );
    check_error("prog|status|--db|dbname=x|--set|DB=dbname=y", "--db and --set db exclude each other");
}

#[test]
fn invalid_connection_strings_are_refused() {
    let expected = "a connection string such as `dbname=queries` or `postgresql://host/queries`";
    for empty in ["prog|status|--db=", "prog|--db| |status"] {
        check_error(empty, &format!("--db is empty; it must be {expected}"));
    }
    check_error("prog|--db|queries|status", &format!("--db must be {expected}"));
    check_error(
        "prog|--db|dbname=x queries|status",
        "invalid value of --db: invalid connection string: missing `=` after `queries`",
    );
}

#[test]
fn no_message_contains_a_password() {
    for line in [
        "prog|host=h password=secret|status",
        "prog|postgresql://u:secret@h/x|status",
        "prog|password=secret",
        "prog|--db|host=h|password=secret|status",
        "prog|--db|password=secret|password=secret|x|status",
        "prog|--db|postgresql://u:secret@h:port/x|status",
        "prog|--db|host=h password=secret nonsense|status",
        "prog|--db|secret|status",
        "prog|--db|host=h|password=secret|ticker|more",
    ] {
        let error = select(line, &[]).expect_err(line);
        assert!(!format!("{} {error:?}", describe(&error)).contains("secret"), "{line}: {error:?}");
    }
    check_error(
        "prog|postgresql://u:secret@h/x|status",
        "the first argument is a connection string and no config file; run `prog --db CONNINFO COMMAND`",
    );
    check_error(
        "prog|--db|host=h|password=secret|status",
        "--db takes one connection string; put it in quotes",
    );
}

#[test]
fn a_misspelled_command_is_recognized() {
    let expected = "config file `statsu` does not exist; did you mean the command `status`?";
    check_error("prog|statsu", expected);
    for line in ["prog|statsu|ticker", "prog|statsu.ini", "prog|nothing"] {
        assert!(select(line, &[]).is_ok(), "{line}");
    }
}
