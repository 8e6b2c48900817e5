//! `pgqadm`: installs PgQ, creates queues, registers consumers, and runs the ticker.

mod check;
mod commands;
mod config;
mod consumers;
mod database;
mod delayed;
mod failed;
mod install;
mod metrics;
mod queues;
mod repair;
mod schedules;
mod status;
mod text;
mod ticker;
mod watch;

use std::process::ExitCode;

use dbscript::{BoxError, Config, Error, Job, Key, Program, Switches};
use pgq::ticker::Tickers;

use self::metrics::Server;

const DB: &str = "db";
const SCHEMA: &str = "schema";
const PRINT: &str = "print";
const YES: &str = "yes";
const FORCE: &str = "force";
const AT: &str = "at";
const COPY: &str = "copy";
const ALL: &str = "all";
const OLDER_THAN: &str = "older-than";

fn main() -> ExitCode {
    let (tickers, server) = (Tickers::default(), Server::default());
    let program = Program::new("pgqadm")
        .about("Installs PgQ, creates queues, registers consumers, and runs the ticker.")
        .version(env!("CARGO_PKG_VERSION"))
        .commands(&commands::COMMANDS)
        .quick_start(&commands::QUICK_START)
        .or_section(ticker::PGQD)
        .pin_search_path()
        .optional_database(DB, "Connection string of the database. No default.")
        .runs_without_file(DB)
        .keys(ticker::KEYS)
        .choice(
            SCHEMA,
            "KIND",
            &["extension", "own"],
            "Install the schema pgq as the `extension`, or as our `own` SQL",
        )
        .switch(PRINT, "Print the SQL of our own schemas")
        .switch(YES, "The same as --force")
        .switch(FORCE, "Run without asking for confirmation")
        .option(AT, "TICK|TIME", "Begin after this tick, or at this time, as in `2026-11-30 10:00`, or this long ago, as in `2 hours`")
        .option(COPY, "CONSUMER", "Begin at the position of this consumer")
        .switch(ALL, "With `retry` and `delete`: all events of the consumer")
        .option(OLDER_THAN, "INTERVAL", "With `purge`: events that failed longer ago, as in `7 days`")
        .option(schedules::ZONE, "ZONE", "Time zone of the cron pattern, as in `Europe/Berlin` [default: UTC]")
        .option(schedules::EXTRAS[0], "TEXT", "ev_extra1 of the event")
        .option(schedules::EXTRAS[1], "TEXT", "ev_extra2 of the event")
        .option(schedules::EXTRAS[2], "TEXT", "ev_extra3 of the event")
        .option(schedules::EXTRAS[3], "TEXT", "ev_extra4 of the event")
        .switch(status::JSON, "Print JSON")
        .option_or(
            status::WATCH,
            "SECONDS",
            watch::DEFAULT_SECONDS,
            "Display that refreshes at this interval [default: 2]",
        );
    check::add_options(program).main(move |config, switches| {
        let arguments = switches.arguments();
        let requires_db = !matches!(*arguments, ["ticker" | "check", ..]) && !switches.has(PRINT);
        let job = match *arguments {
            ["ticker"] => ticker::ticker(config, &tickers, &server)?,
            _ => job(&arguments, config, switches)?,
        };
        if requires_db {
            require_db(config)?;
        }
        Ok(job)
    })
}

fn job(arguments: &[&str], config: &Config, switches: &Switches) -> Result<Job, BoxError> {
    match *arguments {
        ["status"] => status::status(config, None, switches),
        ["status", queue] => status::status(config, Some(queue), switches),
        ["check"] => check::check(config, None, switches),
        ["check", queue] => check::check(config, Some(queue), switches),
        ["install", ref schemas @ ..] => install::install(schemas, switches),
        ["uninstall", ref schemas @ ..] => install::uninstall(schemas, switches),
        ["create", ref queues @ ..] if !queues.is_empty() => Ok(queues::create(queues)),
        ["drop", queue] => Ok(queues::drop(queue, switches)),
        ["repair"] => Ok(repair::command(switches)),
        ["register", queue, consumer] => consumers::register(queue, consumer, switches),
        ["unregister", queue, consumer] => Ok(consumers::unregister(queue, consumer, switches)),
        ["config"] => Ok(config::show(None)),
        ["config", queue] => Ok(config::show(Some(queue))),
        ["config", queue, ref changes @ ..] => config::change(queue, changes),
        ["delayed", action, queue, ref events @ ..] => delayed::delayed(action, queue, events, switches),
        ["schedule", queue, name, cron, event_type, data] => {
            schedules::schedule(queue, name, cron, [event_type, data], switches)
        }
        ["schedules"] => Ok(schedules::list(None)),
        ["schedules", queue] => Ok(schedules::list(Some(queue))),
        ["unschedule", queue, name] => Ok(schedules::unschedule(queue, name)),
        ["failed", action, queue, consumer, ref events @ ..] => {
            failed::failed(action, queue, consumer, events, switches)
        }
        _ => Err(switches.misuse().into()),
    }
}

/// Checks that the file sets the database, which all commands except `ticker` require. A file of pgqd never sets it.
fn require_db(config: &Config) -> Result<(), BoxError> {
    match config.get(&Key::required(DB, "")) {
        Err(error) if config.service_name()? == ticker::PGQD => {
            Err(Error::usage(format!("{error}; this command requires a database: `--set 'db=dbname=NAME'`"))
                .into())
        }
        set => Ok(set.map(|_| ())?),
    }
}
