//! Installs PgQ, creates queues, registers consumers, and runs the ticker.

mod check;
mod config;
mod consumers;
mod failed;
mod install;
mod metrics;
mod queues;
mod status;
mod text;
mod ticker;
mod watch;

use std::process::ExitCode;

use dbscript::{BoxError, Command, Config, Error, Job, Key, Program, Switches};
use pgq::Tickers;

const DB: &str = "db";
const SCHEMA: &str = "schema";
const PRINT: &str = "print";
const YES: &str = "yes";
const FORCE: &str = "force";
const AT: &str = "at";
const COPY: &str = "copy";
const ALL: &str = "all";
const OLDER_THAN: &str = "older-than";

const COMMANDS: [Command; 11] = [
    Command::new(
        "ticker",
        "",
        "Runs the ticker and the maintenance, of the database of `db` or of many databases of a cluster.",
    ),
    Command::new(
        "status",
        "[queue]",
        "Shows queues, their consumers, and what holds up rotation; with --json, for programs; with --watch, as a \
         display like `top`.",
    )
    .takes(&[status::JSON, status::WATCH]),
    Command::new(
        "check",
        "[queue]",
        "Prints one line for monitoring systems; the exit status is 0 (OK), 1 (WARNING), 2 (CRITICAL) or \
         3 (UNKNOWN).",
    )
    .takes(&check::OPTIONS),
    Command::new(
        "install",
        "[pgq] [pgq_ext]",
        "Installs the schemas, by default both; pgq as the extension where the server offers it and the role may \
         create it, else as SQL, or as --schema says. With --print, prints the SQL and changes nothing.",
    )
    .takes(&[SCHEMA, PRINT]),
    Command::new(
        "uninstall",
        "[pgq] [pgq_ext]",
        "Removes the schemas, by default both, with all queues and events. Asks first, or takes --force.",
    )
    .takes(&[FORCE, YES]),
    Command::new("create", "<queue>...", "Creates queues."),
    Command::new(
        "drop",
        "<queue>",
        "Drops a queue with its events, and unregisters its consumers. Asks first, or takes --force.",
    )
    .takes(&[FORCE]),
    Command::new(
        "register",
        "<queue> <consumer>",
        "Registers a consumer on a queue, so that it gets what comes from now on; or what came after the tick of \
         --at; or what the consumer of --copy is still to get. With one of these, a consumer that is registered \
         already is moved, which asks first, or takes --force.",
    )
    .takes(&[AT, COPY, FORCE]),
    Command::new(
        "unregister",
        "<queue> <consumer>",
        "Removes a consumer from a queue. Asks first if it has retry events or failed events, which go too, or takes \
         --force. What a subconsumer has open comes back to the others.",
    )
    .takes(&[FORCE]),
    Command::new(
        "config",
        "[<queue> [<variable>=<value>...]]",
        "Shows the settings of queues, intervals in seconds, or changes some, all or none: ticker_max_lag, \
         ticker_max_count, ticker_idle_period, rotation_period, ticker_paused, external_ticker, disable_insert, \
         per_tx_limit, extra_maint. Names may begin with queue_; intervals are as PostgreSQL reads them.",
    ),
    Command::new(
        "failed",
        "list|count|retry|delete|purge <queue> <consumer> [<event>...]",
        "Handles the events that a consumer gave up. `list` prints them, one on a line; `retry` returns the named \
         ones, or --all, to the consumer; `delete` removes the named ones, or --all; `purge` removes all, or \
         those of --older-than. What removes asks first, or takes --force.",
    )
    .takes(&[ALL, OLDER_THAN, FORCE]),
];

fn main() -> ExitCode {
    let tickers = Tickers::default();
    let program = Program::new("pgqadm")
        .about("Installs PgQ, creates queues, registers consumers, and runs the ticker.")
        .version(env!("CARGO_PKG_VERSION"))
        .commands(&COMMANDS)
        .or_section(ticker::PGQD)
        .optional_database(DB, "Connection string of the database. No default.")
        .keys(&ticker::KEYS)
        .choice(
            SCHEMA,
            "KIND",
            &["extension", "own"],
            "With `install`: the schema pgq is to be the `extension`, or our `own`",
        )
        .switch(PRINT, "With `install`: print the SQL of our own schemas")
        .switch(YES, "With `uninstall`: the same as --force")
        .switch(FORCE, "Do what cannot be undone without asking")
        .option(AT, "TICK", "With `register`: begin behind this tick")
        .option(COPY, "CONSUMER", "With `register`: begin where this consumer is")
        .switch(ALL, "With `failed retry` and `failed delete`: all events of the consumer")
        .option(OLDER_THAN, "INTERVAL", "With `failed purge`: events that failed longer ago, as in `7 days`")
        .switch(status::JSON, "With `status`: print JSON")
        .option_or(
            status::WATCH,
            "SECONDS",
            watch::DEFAULT_SECONDS,
            "With `status`: refresh the display every so many seconds [default: 2]",
        );
    check::add_options(program).main(move |config, switches| {
        let arguments = switches.arguments();
        let wants_db = !matches!(*arguments, ["ticker" | "check", ..]) && !switches.has(PRINT);
        let job = job(&arguments, config, switches, &tickers)?;
        if wants_db {
            require_db(config)?;
        }
        Ok(job)
    })
}

fn job(arguments: &[&str], config: &Config, switches: &Switches, tickers: &Tickers) -> Result<Job, BoxError> {
    match *arguments {
        ["ticker"] => ticker::ticker(config, tickers),
        ["status"] => status::status(config, None, switches),
        ["status", queue] => status::status(config, Some(queue), switches),
        ["check"] => Ok(check::check(config, None, switches)),
        ["check", queue] => Ok(check::check(config, Some(queue), switches)),
        ["install", ref schemas @ ..] => install::install(schemas, switches),
        ["uninstall", ref schemas @ ..] => install::uninstall(schemas, switches),
        ["create", ref queues @ ..] if !queues.is_empty() => Ok(queues::create(queues)),
        ["drop", queue] => Ok(queues::drop(queue, switches)),
        ["register", queue, consumer] => consumers::register(queue, consumer, switches),
        ["unregister", queue, consumer] => Ok(consumers::unregister(queue, consumer, switches)),
        ["config"] => Ok(config::show(None)),
        ["config", queue] => Ok(config::show(Some(queue))),
        ["config", queue, ref changes @ ..] => config::change(queue, changes),
        ["failed", action, queue, consumer, ref events @ ..] => {
            failed::failed(action, queue, consumer, events, switches)
        }
        _ => Err(switches.misuse().into()),
    }
}

/// Fails when the file does not set the database that all commands but `ticker` are about. A file of pgqd never
/// does.
fn require_db(config: &Config) -> Result<(), BoxError> {
    match config.get(&Key::required(DB, "")) {
        Err(error) if config.service_name()? == ticker::PGQD => Err(Error::usage(format!(
            "{error}; this command is about one database, which `--set 'db=dbname=NAME'` names"
        ))
        .into()),
        set => Ok(set.map(|_| ())?),
    }
}
