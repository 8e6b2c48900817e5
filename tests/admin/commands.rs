//! How the commands are described, and refused when they are misused.

use std::fs;
use std::process::Command;

use super::Place;
use crate::support::programs::{command, succeed};

const COMMANDS: [&str; 12] = [
    "ticker",
    "install [pgq] [pgq_ext]",
    "uninstall [pgq] [pgq_ext]",
    "create <queue>...",
    "drop <queue>",
    "register <queue> <consumer>",
    "unregister <queue> <consumer>",
    "config [<queue> [<variable>=<value>...]]",
    "schedule <queue> <name> <cron> <type> <data>",
    "schedules [queue]",
    "unschedule <queue> <name>",
    "failed list|count|retry|delete|purge <queue> <consumer> [<event>...]",
];

#[test]
fn help_and_manual_page_have_every_command_with_its_arguments() {
    let place = Place::create(super::KINDS[0]);
    let (help, _) = place.done(&["--help"]);
    let (page, _) = place.done(&["--man"]);
    let page = page.replace("\\fB", "").replace("\\fR", "").replace('\\', "");
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command}")), "{command} is not in {help}");
        assert!(page.contains(&format!("\n{command}\n")), "{command} is not in {page}");
    }
}

#[test]
fn help_after_a_command_has_the_options_of_the_command_only() {
    let place = Place::create(super::KINDS[0]);
    let help_of = |line: &str| {
        let output = succeed(command("pgqadm", place.path()).args(line.split(' ')));
        String::from_utf8(output.stdout).expect("text")
    };
    let page = help_of("status --help");
    assert!(page.starts_with("Shows queues, consumers, and holders of rotations."), "{page}");
    assert!(page.contains("  pgqadm [OPTIONS] --db CONNINFO status [queue]\n"), "{page}");
    assert!(page.contains("--json") && page.contains("--watch"), "{page}");
    for other in ["--force", "--quiet", "--ticker-lag", "create", "WARNING"] {
        assert!(!page.contains(other), "{other} is in {page}");
    }
    for line in
        ["adm.ini status -h", "missing.ini status --help", "--db dbname=x status q --help", "--help status"]
    {
        assert_eq!(help_of(line), page, "{line}");
    }
    let check = help_of("check --help");
    assert!(check.lines().all(|line| line.chars().count() <= 100), "{check}");
    assert!(check.contains("--ticker-lag <WARN,CRIT>") && check.contains("3                  "), "{check}");
    assert!(help_of("config --help").contains("queue_ticker_max_lag (3 seconds)"));
    let help = help_of("--help");
    for switch in
        ["--db <CONNINFO>", "--quiet", "--daemon", "--stop", "`pgqadm COMMAND --help`", "PGDATABASE"]
    {
        assert!(help.contains(switch), "{switch} is not in {help}");
    }
    for switch in ["--json", "--force", "--ticker-lag", "Asks for confirmation"] {
        assert!(!help.contains(switch), "{switch} is in {help}");
    }
}

#[test]
fn the_manual_page_is_valid_and_has_every_section() {
    let place = Place::create(super::KINDS[0]);
    fs::write(place.path().join("pgqadm.1"), place.done(&["--man"]).0).expect("writable");
    let mut man = Command::new("man");
    man.args(["--warnings=w", "--local-file", "pgqadm.1"]).current_dir(place.path());
    man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").env("MANROFFOPT", "-c").env_remove("MANPAGER");
    let output = man.output().expect("`man` is installed: run `scripts/setup`");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let page = String::from_utf8(output.stdout).expect("text");
    // Underlined and bold letters are overstruck.
    let page = page.split('\u{8}').enumerate().map(|(at, part)| if at == 0 { part } else { &part[1..] });
    let words = page.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "pgqadm [switch]... --db CONNINFO COMMAND",
        "register <queue> <consumer> [--at TICK|TIME] [--copy CONSUMER] [--force]",
        "status [queue] [--json] [--watch[=SECONDS]]",
        "--at TICK|TIME Begin after this tick",
        "QUICK-START 1. Create the database.",
        "pgqadm -d ticker.ini ticker",
        "queue_ticker_max_lag (3 seconds) ",
        "queue_ticker_max_count (500) ",
        "queue_ticker_idle_period (1 minute) ",
        "queue_rotation_period (2 hours) ",
        "0 OK: ",
        "3 UNKNOWN: ",
        "db Connection string of the database.",
    ] {
        assert!(words.contains(expected), "`{expected}` is not in {words}");
    }
}

#[test]
fn bash_completes_commands_and_their_arguments() {
    let place = Place::create(super::KINDS[0]);
    fs::write(place.path().join("completions"), place.done(&["--completions", "bash"]).0).expect("writable");
    let completed = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let script = format!(
            "source ./completions; COMP_WORDS=({line}); COMP_CWORD={}; _pgqadm pgqadm '{last}' '{before}'; \
             echo \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        let output = succeed(Command::new("bash").args(["-c", &script]).current_dir(place.path()));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    assert_eq!(completed("pgqadm adm.ini dr"), "drop");
    assert_eq!(completed("pgqadm -v adm.ini un"), "uninstall unregister unschedule");
    assert_eq!(completed("pgqadm adm.ini failed pu"), "purge");
    assert_eq!(completed("pgqadm adm.ini failed purge q c --ol"), "--older-than");
    assert_eq!(completed("pgqadm adm.ini install pgq_"), "pgq_ext");
    assert_eq!(completed("pgqadm ad"), "adm.ini", "the config file stands before the command");
    assert_eq!(completed("pgqadm --at 5 ad"), "adm.ini");
    assert_eq!(completed("pgqadm adm.ini install --schema o"), "own");
    assert_eq!(completed("pgqadm adm.ini register q c --at ad"), "", "a tick is no file");
    assert_eq!(completed("pgqadm adm.ini drop q --a"), "");
    assert_eq!(completed("pgqadm adm.ini drop q --fo"), "--force");
    assert_eq!(completed("pgqadm adm.ini register q c --a"), "--at");
    assert_eq!(completed("pgqadm --qu"), "--quiet");
    assert_eq!(completed("pgqadm dr"), "drop", "a command may stand in the place of the config file");
    assert_eq!(completed("pgqadm drop q --fo"), "--force");
    assert_eq!(completed("pgqadm failed pu"), "purge");
    assert_eq!(completed("pgqadm --db x dr"), "drop");
    assert_eq!(completed("pgqadm --db x ad"), "", "the option replaces the config file");
    assert_eq!(completed("pgqadm --db = dbname = x dr"), "drop");
    assert_eq!(completed("pgqadm --db postgresql : //u @ h/x dr"), "drop");
    assert_eq!(completed("pgqadm --db x failed pu"), "purge");
    assert_eq!(completed("pgqadm --db ad"), "", "a connection string is no file");
    assert_eq!(completed("pgqadm adm.ini drop q --d"), "--db --daemon");
    assert_eq!(completed("pgqadm --set a = b ad"), "adm.ini");
    assert_eq!(completed("pgqadm adm.ini failed "), "list count retry delete purge");
    assert_eq!(completed("pgqadm adm.ini install --schema = o"), "own");
}

#[test]
fn fish_completes_commands_and_their_arguments() {
    let place = Place::create(super::KINDS[0]);
    fs::write(place.path().join("completions"), place.done(&["--completions", "fish"]).0).expect("writable");
    let completed = |line: &str| {
        let script = format!("source ./completions; complete -C '{line}'");
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", &script]).current_dir(place.path()).env("HOME", place.path());
        let output = fish.output().expect("`fish` is installed: run `scripts/setup`");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        let words: Vec<&str> = text.lines().filter_map(|line| line.split('\t').next()).collect();
        words.join(" ")
    };
    assert_eq!(completed("pgqadm adm.ini dr"), "drop");
    assert_eq!(completed("pgqadm -v --set a=b adm.ini un"), "uninstall unregister unschedule");
    assert_eq!(completed("pgqadm ad"), "adm.ini");
    assert_eq!(completed("pgqadm adm.ini failed pu"), "purge");
    assert_eq!(completed("pgqadm adm.ini install --schema o"), "own");
    assert_eq!(completed("pgqadm adm.ini register q c --at "), "");
    assert_eq!(completed("pgqadm adm.ini failed purge q c --ol"), "--older-than");
    assert_eq!(completed("pgqadm adm.ini drop q --a"), "");
    assert_eq!(completed("pgqadm adm.ini drop q --fo"), "--force");
    assert_eq!(completed("pgqadm dr"), "drop", "a command may stand in the place of the config file");
    assert_eq!(completed("pgqadm drop q --fo"), "--force");
    assert_eq!(completed("pgqadm failed pu"), "purge");
    assert_eq!(completed("pgqadm --db x dr"), "drop");
    assert_eq!(completed("pgqadm --db=x adm"), "", "the option replaces the config file");
    assert_eq!(completed("pgqadm --db=dbname=x failed pu"), "purge");
    assert_eq!(completed("pgqadm --db ad"), "", "a connection string is no file");
    assert_eq!(completed("pgqadm adm.ini --qu"), "--quiet");
    assert_eq!(completed("pgqadm adm.ini failed "), "count delete list purge retry");
}

#[test]
fn zsh_gets_the_config_file_that_its_function_expects() {
    let place = Place::create(super::KINDS[0]);
    fs::write(place.path().join("completions"), place.done(&["--completions", "zsh"]).0).expect("writable");
    let words = |line: &str| {
        let count = line.split(' ').count();
        let script = format!(
            "compdef() {{ }}; source ./completions; _clap_pgqadm() {{ print -r -- $CURRENT $words }}; \
             words=(\"${{(@s: :)1}}\"); CURRENT={count}; _pgqadm"
        );
        let mut zsh = Command::new("zsh");
        zsh.args(["-f", "-c", &script, "zsh", line]).current_dir(place.path());
        let output = zsh.output().expect("`zsh` is installed: run `scripts/setup`");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    assert_eq!(words("pgqadm ad"), "2 pgqadm ad");
    assert_eq!(words("pgqadm adm.ini dr"), "3 pgqadm adm.ini dr");
    assert_eq!(words("pgqadm drop q"), "4 pgqadm config.ini drop q");
    assert_eq!(words("pgqadm -v failed pu"), "5 pgqadm -v config.ini failed pu");
    assert_eq!(words("pgqadm --set drop dr"), "4 pgqadm --set drop dr");
    assert_eq!(words("pgqadm --db drop"), "3 pgqadm --db drop");
    assert_eq!(words("pgqadm --db x dr"), "5 pgqadm --db x config.ini dr");
    assert_eq!(words("pgqadm --db=x failed pu"), "5 pgqadm --db=x config.ini failed pu");
    assert_eq!(words("pgqadm --db x --qu"), "4 pgqadm --db x --qu");
}

#[test]
fn every_shell_gets_completions() {
    let place = Place::create(super::KINDS[0]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (script, _) = place.done(&["--completions", shell]);
        for word in ["unregister", "purge", "older-than"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn an_unknown_command_is_reported_with_a_suggestion() {
    let place = Place::create(super::KINDS[0]);
    place.refused(&["regsiter", "q", "c"], 2, "unknown command `regsiter`; did you mean `register`?");
    place.refused(&["fly"], 2, "unknown command `fly`; `pgqadm --help` lists the commands");
    place.refused(&[], 2, "no command given; `pgqadm --help` lists the commands");
    place.refused(
        &["ticker", "q"],
        2,
        "command `ticker` takes no arguments; `pgqadm ticker --help` describes",
    );
    place.refused(&["drop"], 2, "command `drop` takes <queue>; `pgqadm drop --help` describes the command");
    place.refused(&["drop", "--wrong"], 2, "`pgqadm drop --help` lists the options");
}

#[test]
fn a_switch_that_a_command_does_not_take_is_refused() {
    let place = Place::create(super::KINDS[0]);
    for (arguments, switch) in [
        (&["create", "q", "--at", "5"][..], "`create` takes no --at"),
        (&["uninstall", "--schema", "own"], "`uninstall` takes no --schema"),
        (&["status", "--failed", "1,2"], "`status` takes no --failed"),
        (&["--yes", "drop", "q"], "`drop` takes no --yes"),
        (&["config", "--force"], "`config` takes no --force"),
        (&["unregister", "q", "c", "--copy=d"], "`unregister` takes no --copy"),
        (&["ticker", "--all"], "`ticker` takes no --all"),
    ] {
        place.refused(arguments, 2, switch);
    }
}

#[test]
fn a_missing_database_and_an_unknown_key_are_reported() {
    let place = Place::create(super::KINDS[0]);
    fs::write(place.path().join("adm.ini"), "[pgqadm]\ndatabase = x\n").expect("writable");
    place.refused(&["create", "q"], 2, "config value not set: db (section [pgqadm] of `adm.ini`)");
    let (out, log) = place.done(&["install", "--print"]);
    assert!(out.contains("create schema") && log.contains("unknown key `database`"), "{log}");
    fs::write(place.path().join("adm.ini"), "[pgqd]\ndatabase_list = x\n").expect("writable");
    place.refused(
        &["config"],
        2,
        "config value not set: db (section [pgqd] of `adm.ini`); this command requires a database",
    );
    let said = place.run(&["check"]);
    assert!(said.status == Some(3) && said.out.contains("config value not set: db"), "{said:?}");
}
