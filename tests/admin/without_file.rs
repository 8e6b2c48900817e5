//! `pgqadm` without a config file: with `--db`, and with the database of the environment.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{KINDS, Place, Said};
use crate::support::output;
use crate::support::programs::{Running, command};
use crate::support::wait_for;

const PASSWORD: &str = "correct-horse";

/// Makes a command without a config file.
fn bare(place: &Place, arguments: &[&str]) -> Command {
    let mut command = command("pgqadm", place.path());
    command.args(arguments);
    command
}

fn run(place: &Place, arguments: &[&str]) -> Said {
    Said::by(&mut bare(place, arguments))
}

/// Runs a command that succeeds, with variables of the environment.
#[track_caller]
fn done(place: &Place, arguments: &[&str], env: &[(&str, &str)]) -> Said {
    let said = Said::by(bare(place, arguments).envs(env.iter().copied()));
    assert_eq!(said.status, Some(0), "{arguments:?} {env:?}: {said:?}");
    said
}

#[track_caller]
fn refused(place: &Place, arguments: &[&str], status: i32, text: &str) {
    run(place, arguments).refused(status, text);
}

#[test]
fn commands_run_with_a_connection_string() {
    for place in Place::each() {
        let name = place.database.name();
        let (pairs, uri) = (format!("dbname={name}"), format!("postgresql:///{name}?connect_timeout=30"));
        let assigned = format!("--db={pairs}");
        done(&place, &["--db", &pairs, "create", "q1"], &[]);
        done(&place, &["create", "q2", "--db", &uri], &[]);
        done(&place, &[&assigned, "-q", "create", "q3"], &[]);
        done(&place, &["--db", "dbname=elsewhere", "create", "q4", &assigned], &[]);
        let (out, _) = place.done(&["status"]);
        for queue in ["q1", "q2", "q3", "q4"] {
            assert!(out.contains(queue), "{queue} is not in {out}");
        }
        let said = done(&place, &["--db", &uri, "status", "q2", "--json"], &[]);
        assert!(said.out.contains("\"q2\"") && !said.out.contains("\"q1\""), "{said:?}");
        assert_eq!(done(&place, &["check", "--db", &pairs], &[]).out.lines().count(), 1);
    }
}

#[test]
fn commands_run_with_the_database_of_the_environment() {
    let place = Place::create(KINDS[0]);
    let name = place.database.name();
    let services = format!("[shop]\ndbname={name}\n[other]\ndbname=elsewhere\n");
    fs::write(place.path().join("services"), services).expect("writable");
    let service = |name| [("PGSERVICEFILE", "services"), ("PGSERVICE", name), ("PGDATABASE", "elsewhere")];
    done(&place, &["create", "q1"], &[("PGDATABASE", name)]);
    done(&place, &["create", "q2"], &service("shop"));
    done(&place, &["create", "q3", "--db", &format!("dbname={name}")], &[("PGDATABASE", "elsewhere")]);
    done(&place, &["adm.ini", "create", "q4"], &[("PGDATABASE", "elsewhere")]);
    let said = done(&place, &["status"], &service("shop"));
    for queue in ["q1", "q2", "q3", "q4"] {
        assert!(said.out.contains(queue), "{queue} is not in {said:?}");
    }
    let said = Said::by(bare(&place, &["status"]).envs(service("other")));
    said.refused(1, "`elsewhere`");
    let said = Said::by(bare(&place, &["status"]).envs(service("missing")));
    said.refused(2, "no config file, database from PGSERVICE");
    let said = Said::by(bare(&place, &["status"]).env("PGDATABASE", ""));
    said.refused(2, "no config file given: `status` is a command");
}

#[test]
fn a_file_with_the_name_of_a_command_remains_usable() {
    let place = Place::create(KINDS[0]);
    fs::rename(place.path().join("adm.ini"), place.path().join("config")).expect("writable");
    done(&place, &["config", "create", "q"], &[("PGDATABASE", "elsewhere")]);
    assert!(done(&place, &["config", "config"], &[]).out.contains("q\n"));
    assert!(done(&place, &["config", "-s"], &[]).err.contains("no pidfile in the config file"));
    let db = format!("dbname={}", place.database.name());
    assert!(done(&place, &["--db", &db, "config", "q"], &[]).out.contains("queue_ticker_max_lag"));
    refused(&place, &["config", "q"], 2, "no config file given: `config` is a command");
}

#[test]
fn the_ticker_runs_in_the_foreground_and_reloads() {
    let mut place = Place::create(KINDS[0]);
    let db = format!("dbname={}", place.database.name());
    done(&place, &["--db", &db, "create", "q"], &[]);
    let log = place.path().join("ticker.log");
    let mut ticker = bare(&place, &["--db", &db, "--set", "logfile=ticker.log", "ticker"]);
    let mut ticker = Running::start_with(ticker.arg("-v"), output::sink());
    let logged = |text: &str| fs::read_to_string(&log).unwrap_or_default().contains(text);
    wait_for("a tick", || place.value("select max(tick_id) > 1 from pgq.tick") == "true");
    ticker.signal(Signal::SIGHUP);
    wait_for("the reload", || logged("Config reloaded"));
    ticker.signal(Signal::SIGTERM);
    assert_eq!(ticker.wait(), Some(0));
}

#[test]
fn what_requires_a_file_is_refused_without_one() {
    let place = Place::create(KINDS[0]);
    let db = format!("dbname={}", place.database.name());
    let pidfile = "requires a config file with `pidfile`";
    for switch in ["-d", "-r", "-s", "-k", "--daemon", "--stop"] {
        refused(&place, &[switch, "ticker"], 2, pidfile);
        refused(&place, &[switch, "--db", &db, "ticker"], 2, pidfile);
        Said::by(bare(&place, &["ticker", switch]).env("PGDATABASE", "x")).refused(2, pidfile);
    }
    refused(&place, &["-d", "--db", &db, "--set", "pidfile=x.pid", "ticker"], 2, pidfile);
    assert!(!place.path().join("x.pid").exists());
}

#[test]
fn bad_input_is_refused() {
    let place = Place::create(KINDS[0]);
    let db = format!("dbname={}", place.database.name());
    for (arguments, text) in [
        (
            &["status"][..],
            "no config file given: `status` is a command; run `pgqadm FILE status` or `pgqadm --db",
        ),
        (&[], "no config file given"),
        (&["statsu"], "did you mean the command `status`?"),
        (&["--db", &db], "no command given"),
        (&["--db", &db, "fly"], "unknown command `fly`"),
        (&["--db", &db, "statsu"], "unknown command `statsu`; did you mean `status`?"),
        (&["--db", &db, "drop"], "command `drop` takes <queue>"),
        (&["--db", &db, "create", "q", "--at", "5"], "`create` takes no --at"),
        (&["--db", &db, "adm.ini", "status"], "config file `adm.ini` and --db exclude each other"),
        (&["--db", &db, "adm.ini"], "config file `adm.ini` and --db exclude each other"),
        (&["--db", &db, "--set", "db=dbname=x", "status"], "--db and --set db exclude each other"),
        (&["--db", "", "status"], "--db is empty"),
        (&["--db=", "status"], "--db is empty"),
        (&["status", "--db"], "a value is required for '--db <CONNINFO>'"),
        (&["--db", "queries", "status"], "--db must be a connection string"),
        (&["--db", "dbname=x nonsense", "status"], "invalid value of --db: invalid connection string"),
        (&["--db", "dbname=x port=\u{1b}[31m", "status"], "invalid value of --db"),
        (&["--db", "postgresql://h:port/x", "status"], "invalid value of --db"),
        (&["--db", "service=missing", "status"], "the definition of service `missing` was not found"),
        (&["--db", &db, "--set", "loop_dealy=1", "--set", "loop_delay=x", "status"], "database from --db"),
    ] {
        refused(&place, arguments, 2, text);
    }
}

#[test]
fn hostile_connection_strings_reach_the_server_as_names() {
    let place = Place::create(KINDS[0]);
    for name in ["a b", "a\nb", "\u{1b}[31mred", "$(touch x)", "%(job_name)s", "it''s", "x' or 1=1 --"] {
        let quoted = name.replace('\\', "\\\\").replace('\'', "\\'");
        let said = run(&place, &["--db", &format!("dbname='{quoted}'"), "status"]);
        assert!(said.err.contains("does not exist"), "{name}: {said:?}");
        said.refused(1, "db");
        assert!(!said.err.contains('\u{1b}'), "{said:?}");
        let said = Said::by(bare(&place, &["status"]).env("PGDATABASE", name));
        said.refused(1, "does not exist");
    }
    assert_eq!(fs::read_dir(place.path()).expect("readable").count(), 1, "only the config file is there");
}

#[test]
fn a_password_is_never_shown() {
    let place = Place::create(KINDS[0]);
    let name = place.database.name();
    let (pairs, stray) = (format!("dbname={name} password={PASSWORD}"), format!("password={PASSWORD}"));
    let uri = format!("postgresql://postgres:{PASSWORD}@/{name}");
    let away = format!("host=127.0.0.1 port=1 {pairs}");
    let said = done(&place, &["-vv", "--db", &pairs, "status"], &[]);
    assert!(said.err.contains("connecting to") && !said.err.contains(PASSWORD), "{said:?}");
    for arguments in [
        &["-vv", "--db", &uri, "status"][..],
        &["-vv", "--db", &away, "status"],
        &["-vv", "--db", &away, "check"],
        &["--db", &format!("{pairs} nonsense"), "status"],
        &["--db", &pairs, "--set", "loop_delay=x", "status"],
        &["--db", &pairs, "adm.ini", "status"],
        &["--db", "dbname=x", &stray, "status"],
        &["--db", "dbname=x", &stray, &stray, "status"],
        &["--db", PASSWORD, "status"],
        &[&uri, "status"],
        &[&pairs, "status"],
        &["-d", "--db", &pairs, "ticker"],
        &["--db", &pairs, "--stauts"],
    ] {
        let said = run(&place, arguments);
        assert!(!said.err.contains(PASSWORD) && !said.out.contains(PASSWORD), "{arguments:?}: {said:?}");
        assert!(!said.err.is_empty() || !said.out.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_check_without_a_file_is_unknown() {
    let place = Place::create(KINDS[0]);
    for (arguments, text) in [
        (&["check"][..], "no config file given: `check` is a command"),
        (&["--db", "", "check"], "--db is empty"),
        (&["check", "--db", "dbname=elsewhere"], "elsewhere"),
    ] {
        let said = run(&place, arguments);
        assert!(
            said.status == Some(3) && said.out.contains("UNKNOWN") && said.out.contains(text),
            "{said:?}"
        );
    }
}

#[test]
fn the_sample_file_contains_the_connection_string() {
    let place = Place::create(KINDS[0]);
    let uri = format!("postgresql:///{}?application_name=a%20b", place.database.name());
    let sample = done(&place, &["--ini", "--db", &uri], &[]).out;
    fs::write(place.path().join("adm.ini"), sample).expect("writable");
    place.done(&["create", "q"]);
}
