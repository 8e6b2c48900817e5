//! However the display ends, the terminal is as it was, and it does not end for a server's sake.

use std::fs;

use nix::sys::signal::Signal;

use super::*;
use crate::support::programs::command;
use crate::support::server::Server;
use crate::support::wait_for;

#[test]
fn keys() {
    let (database, _client) = shop();
    for key in ["q", "Escape", "C-c"] {
        let terminal = Terminal::open(&database.conninfo(), WATCH);
        terminal.wait_for_text("3 queues");
        assert_eq!(terminal.state(), (true, false), "a screen of its own, and no cursor");
        terminal.type_keys(&[key]);
        assert_eq!((terminal.wait_for_end().as_str(), terminal.errors().as_str()), ("0", ""), "{key}");
    }
}

#[test]
fn signals() {
    let (database, _client) = shop();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let terminal = Terminal::open(&database.conninfo(), WATCH);
        terminal.wait_for_text("3 queues");
        terminal.signal(signal);
        assert_eq!((terminal.wait_for_end().as_str(), terminal.errors().as_str()), ("0", ""), "{signal}");
    }
}

#[test]
fn a_terminal_that_is_closed() {
    let (database, mut client) = shop();
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    terminal.wait_for_text("3 queues");
    drop(terminal);
    wait_for("the session's end", || {
        let sessions = "select count(*) from pg_stat_activity where datname = current_database() \
                        and application_name = 'watcher'";
        client.query_one(sessions, &[]).expect("readable").get::<_, i64>(0) == 0
    });
}

#[test]
fn a_panic() {
    let terminal = Terminal::run_with("panicking_screen", "dbname=nowhere", "adm.ini", "");
    assert_eq!(terminal.wait_for_end(), "1");
    let screen = terminal.screen().replace('\n', "");
    assert!(screen.contains("panic at ") && screen.contains(": the display fails"), "{screen}");
}

#[test]
fn the_shell_has_the_terminal_while_the_program_and_its_wrapper_are_stopped() {
    let (database, _client) = shop();
    let terminal = Terminal::open_shell(&database.conninfo(), WATCH);
    terminal.wait_for_text("ready>");
    terminal.type_keys(&["./wrapper", "Enter"]);
    let key = |terminal: &Terminal| terminal.type_keys(&["C-z"]);
    let signal = |terminal: &Terminal| terminal.signal(Signal::SIGTSTP);
    for (round, stop) in [key, signal, key, signal].into_iter().enumerate() {
        terminal.wait_for_text("3 queues");
        wait_for("the display", || terminal.state() == (true, false));
        stop(&terminal);
        terminal.wait_for_text("Stopped");
        assert!(terminal.is_stopped());
        assert_eq!(terminal.state(), (false, true));
        terminal.type_keys(&[&format!("echo sum $((40 + {round}))"), "Enter"]);
        let sum = format!("sum {}", 40 + round);
        terminal.wait_for("the shell", |screen| screen.lines().any(|line| line == sum));
        terminal.type_keys(&["clear", "Enter"]);
        terminal.wait_for("an empty screen", |screen| !screen.contains("Stopped"));
        terminal.type_keys(&["fg", "Enter"]);
    }
    terminal.wait_for_text("3 queues");
    terminal.type_keys(&["q"]);
    terminal.wait_for_text("ended with 0");
    assert_eq!(terminal.errors(), "");
}

/// No process could continue it.
#[test]
fn without_a_shell_that_waits_it_is_not_stopped() {
    let (database, mut client) = shop();
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    terminal.wait_for_text("3 queues");
    terminal.type_keys(&["C-z"]);
    terminal.signal(Signal::SIGTSTP);
    queues::create(&mut client, "created");
    terminal.wait_for_text("4 queues");
    terminal.type_keys(&["q"]);
    assert_eq!(terminal.wait_for_end(), "0");
}

#[test]
fn an_outage_of_the_server_is_displayed_until_it_ends() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("shop");
    let mut client = server.client("shop");
    queues::install(&mut client);
    queues::create(&mut client, "orders");
    drop(client);
    let terminal = Terminal::open(&server.conninfo("shop"), WATCH);
    terminal.wait_for_text("1 queue, 0 consumers");
    server.stop();
    let screen = terminal.wait_for("the error", |screen| {
        terminal::unwrapped(screen).contains("cannot connect to database `shop`")
    });
    assert!(screen.contains("orders"), "what was known stays: {screen}");
    server.start_again();
    terminal.wait_for_text("1 queue, 0 consumers");
    pgq::admin::register_consumer(&mut server.client("shop"), "orders", "mailer").expect("registered");
    terminal.wait_for_text("1 queue, 1 consumer");
    server.stop();
    terminal.wait_for("the error again", |screen| !screen.contains("1 queue, 1 consumer"));
    terminal.type_keys(&["q"]);
    assert_eq!((terminal.wait_for_end().as_str(), terminal.errors().as_str()), ("0", ""));
}

#[test]
fn a_server_that_does_not_answer() {
    let (database, mut client) = shop();
    let mut transaction = client.transaction().expect("begun");
    transaction.batch_execute("lock table pgq.queue").expect("locked");
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    terminal.wait_for_text("no answer from the server for");
    terminal.type_keys(&["?"]);
    terminal.wait_for_text("reverse the order");
    terminal.type_keys(&["q", "q"]);
    assert_eq!(terminal.wait_for_end(), "0");
    transaction.rollback().expect("rolled back");
}

#[test]
fn missing_objects_are_reported_in_the_display() {
    let database = Database::create("watch");
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    terminal.wait_for("what is missing", |screen| {
        terminal::unwrapped(screen).contains("schema `pgq` is not installed in this database")
    });
    queues::install(&mut database.client());
    terminal.wait_for_text("there are no queues");
}

#[test]
fn seconds_taken_for_a_queue_are_reported_with_the_right_form() {
    let (database, mut client) = shop();
    let terminal = Terminal::open(&database.conninfo(), "status --watch 5");
    terminal.wait_for("a hint", |screen| {
        let text = terminal::unwrapped(screen);
        text.contains("write --watch=5 to refresh every 5 seconds: ")
            && text.contains("queue `5` does not exist")
    });
    queues::create(&mut client, "5");
    terminal.wait_for_text("1 queue, 0 consumers");
}

#[test]
fn without_a_terminal_it_is_a_usage_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("adm.ini"), "[pgqadm]\ndb = dbname=nowhere\n").expect("writable");
    for (arguments, expected) in [
        (
            &["--watch"][..],
            "--watch requires a terminal on standard output; without one, use `status` or `status --json`",
        ),
        (&["--watch=never"], "--watch must be seconds from 0.1 to 86400, not `never`"),
        (&["--watch", "--json"], "--json and --watch exclude each other"),
    ] {
        let output = command("pgqadm", folder.path()).args(["adm.ini", "status"]).args(arguments).output();
        let output = output.expect("the program starts");
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("pgqadm: {expected}\n"));
        assert_eq!(output.status.code(), Some(2));
    }
}
