//! The demo: moves events from one database into another, on a private PostgreSQL server in a temporary folder, and
//! verifies that each event arrives exactly once.
//!
//! The demo prints every step as a command, and removes all its files and processes at the end, also after a failure.
#![allow(clippy::print_stderr, reason = "a program reports its errors there")]

mod check;
mod interrupt;
mod load;
mod programs;
mod screen;
#[path = "../../tests/support/server.rs"]
mod server;
mod watch;

use std::process::ExitCode;

use dbscript::{BoxError, describe, one_line};
use postgres::{Client, NoTls};

use crate::check::Contents;
use crate::interrupt::Interrupt;
use crate::load::Load;
use crate::programs::{Failure, Programs, Running};
use crate::screen::{Screen, grouped};
use crate::server::Server;
use crate::watch::{Progress, Watch, per_second};

const DEFAULT_EVENTS: u64 = 200_000;
const USAGE: &str = "usage: demo [EVENTS]    (how many events to move; by default 200000)";

const SOURCE: &str = "source_ticker.ini";
const TARGET: &str = "target_ticker.ini";
const MOVER: &str = "eventlog_to_target_mover.ini";
const SOURCE_QUEUE: &str = "eventlog";
const TARGET_QUEUE: &str = "copy_of_eventlog";
const CONSUMER: &str = "eventlog_to_target_mover";

/// The example of queue_mover's manual page.
const MOVER_INI: &str = "\
[queue_mover]
job_name = eventlog_to_target_mover
src_db = dbname=sourcedb
dst_db = dbname=targetdb
pgq_queue_name = eventlog
dst_queue_name = copy_of_eventlog
pidfile = log/%(job_name)s.pid
logfile = pid/%(job_name)s.log
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(events) = events_wanted(&arguments) else {
        eprintln!("{USAGE}");
        let help = matches!(&arguments[..], [only] if only == "-h" || only == "--help");
        return ExitCode::from(if help { 0 } else { 2 });
    };
    let interrupt = Interrupt::default();
    let result = demo(events, &interrupt);
    if interrupt.is_set_by_now(result.is_err()) {
        eprintln!("demo: interrupted, everything is removed again");
        return ExitCode::from(130);
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {}", one_line(&describe(&*error)));
            if let Some(failure) = error.downcast_ref::<Failure>() {
                eprint!("{}", failure.log);
            }
            ExitCode::FAILURE
        }
    }
}

fn events_wanted(arguments: &[String]) -> Option<u64> {
    match arguments {
        [] => Some(DEFAULT_EVENTS),
        [count] => count.parse().ok().filter(|count| *count > 0),
        _ => None,
    }
}

/// Runs the demo. The programs, and then the server, end when the function returns.
fn demo(events: u64, interrupt: &Interrupt) -> Result<(), BoxError> {
    let bin = programs::find(&["pgqadm", "queue_mover"])?;
    let screen = Screen::new();
    screen.say("Starting a private PostgreSQL server")?;
    let server = Server::builder().durable(true).start()?;
    interrupt.watch()?;
    let programs = Programs::new(bin, &server)?;
    screen.command(&programs.environment())?;

    create_databases(&server, &screen)?;
    prepare(&programs, &screen, interrupt)?;
    let mut running = start(&programs, &screen)?;

    screen
        .say("Two producers insert events; the last are moved when their tick has come, after 3 s at most")?;
    let load = Load::start(&server, events)?;
    let watch = Watch::connect(&server, load, &screen)?;
    let progress = watch.until_all_moved(&mut running, interrupt)?;
    stop(&programs, &screen, &mut running)?;

    screen.say("Comparing all events of both databases")?;
    let contents = check::exactly_once(&server, events)?;
    interrupt.check()?;
    let busy = running.last().map(Running::busy).unwrap_or_default();
    summarize(&screen, &contents, &progress, busy)
}

fn ticker_ini(side: &str) -> String {
    format!(
        "[pgqadm]\njob_name = {side}_ticker\ndb = dbname={side}db\npidfile = pid/%(job_name)s.pid\n\
         logfile = log/%(job_name)s.log\n"
    )
}

fn create_databases(server: &Server, screen: &Screen) -> Result<(), BoxError> {
    let mut client = Client::connect(&server.conninfo("postgres"), NoTls)?;
    for statement in ["create database sourcedb", "create database targetdb"] {
        screen.command(&format!("psql -c '{statement}'"))?;
        client.batch_execute(statement)?;
    }
    Ok(())
}

fn prepare(programs: &Programs, screen: &Screen, interrupt: &Interrupt) -> Result<(), BoxError> {
    let (source, target) = (ticker_ini("source"), ticker_ini("target"));
    for (file, text) in [(SOURCE, &*source), (TARGET, &*target), (MOVER, MOVER_INI)] {
        programs.write(file, text)?;
        screen.command(&format!("cat {file}"))?;
        screen.indented(text)?;
    }
    let commands: [&[&str]; 5] = [
        &["pgqadm", SOURCE, "install", "--schema", "own"],
        &["pgqadm", TARGET, "install", "--schema", "own"],
        &["pgqadm", SOURCE, "create", SOURCE_QUEUE],
        &["pgqadm", TARGET, "create", TARGET_QUEUE],
        &["pgqadm", SOURCE, "register", SOURCE_QUEUE, CONSUMER],
    ];
    for command in commands {
        interrupt.check()?;
        screen.command(&command.join(" "))?;
        programs.run(command)?;
    }
    Ok(())
}

fn start(programs: &Programs, screen: &Screen) -> Result<Vec<Running>, BoxError> {
    let commands: [&[&str]; 3] =
        [&["pgqadm", SOURCE, "ticker"], &["pgqadm", TARGET, "ticker"], &["queue_mover", MOVER]];
    let start = |command: &[&str]| {
        screen.command(&format!("{} &", command.join(" ")))?;
        programs.start(command)
    };
    commands.into_iter().map(start).collect()
}

fn stop(programs: &Programs, screen: &Screen, running: &mut [Running]) -> Result<(), BoxError> {
    let commands: [&[&str]; 3] =
        [&["pgqadm", SOURCE, "-s"], &["pgqadm", TARGET, "-s"], &["queue_mover", MOVER, "-s"]];
    for (command, running) in commands.into_iter().zip(running).rev() {
        screen.command(&command.join(" "))?;
        programs.run(command)?;
        running.wait()?;
    }
    Ok(())
}

fn summarize(screen: &Screen, contents: &Contents, progress: &Progress, busy: f64) -> Result<(), BoxError> {
    let events = grouped(contents.events);
    let rate = |seconds: f64| grouped(per_second(contents.events, seconds));
    screen.say(&format!(
        "Exactly once: {events} events on both sides, none twice, all columns the same, each producer's in order"
    ))?;
    screen.say(&format!(
        "Moved {:.1} MB in {} batches: {:.1} s from the first insert to the last commit, {} events/s",
        contents.bytes as f64 / 1e6,
        grouped(progress.batches),
        progress.seconds,
        rate(progress.seconds),
    ))?;
    screen.say(&format!("queue_mover was busy for {busy:.1} s of it: {} events/s", rate(busy)))?;
    Ok(())
}
