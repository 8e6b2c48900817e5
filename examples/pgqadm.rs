//! Installs PgQ, creates queues, registers consumers, and runs the ticker.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dbscript::{BoxError, Config, Context, Error, Job, Key, Program, Round, Script, Switches, describe};
use log::{error, info};
use pgq::schema::Kind;

const DB: &str = "db";
const SCHEMA: &str = "schema";
const PRINT: &str = "print";
const YES: &str = "yes";
const LOOP_DELAY: Key = Key::with_default(
    "loop_delay",
    "0.1",
    "Seconds between two looks for queues that need a tick. Defaults to 0.1.",
);
const MAINT_DELAY: Key =
    Key::with_default("maint_delay", "600", "Seconds between two rounds of maintenance. Defaults to 600.");
const RETRY_DELAY: Key = Key::with_default(
    "retry_delay",
    "30",
    "Seconds between two looks for retry events whose time has come. Defaults to 30.",
);

const COMMANDS: &str = "\
Commands:
  ticker                           run the ticker and the maintenance
  install [pgq] [pgq_ext]          install the schemas, by default both; pgq as the extension where the
                                   server offers it and the role may create it, else as SQL, or as
                                   --schema says; with --print, print the SQL and change nothing
  uninstall [pgq] [pgq_ext] --yes  remove the schemas, by default both, with all queues and events;
                                   without --yes, tell what would go
  create <queue>                   create a queue
  register <queue> <consumer>      register a consumer on a queue
  unregister <queue> <consumer>    remove a consumer from a queue";

fn main() -> ExitCode {
    Program::new("pgqadm")
        .about("Installs PgQ, creates queues, registers consumers, and runs the ticker.")
        .version(env!("CARGO_PKG_VERSION"))
        .help_after(COMMANDS)
        .database(DB, "Connection string of the database. No default.")
        .keys(&[LOOP_DELAY, MAINT_DELAY, RETRY_DELAY])
        .option(SCHEMA, "KIND", "With `install`: the schema pgq is to be the `extension`, or our `own`")
        .switch(PRINT, "With `install`: print the SQL of our own schemas")
        .switch(YES, "With `uninstall`: remove what is there")
        .arguments("COMMAND")
        .main(|config, switches| match *switches.arguments() {
            ["ticker"] => Ok(Job::looping(Ticker::from_config(config)?)),
            ["install", ref schemas @ ..] => install(schemas, switches),
            ["uninstall", ref schemas @ ..] => uninstall(schemas, switches),
            ["create", queue] => Ok(create(queue.to_owned())),
            ["register", queue, consumer] => Ok(register(queue.to_owned(), consumer.to_owned())),
            ["unregister", queue, consumer] => Ok(unregister(queue.to_owned(), consumer.to_owned())),
            ref other => Err(wrong(other)),
        })
}

/// Ticks at every round; now and then returns retry events and does maintenance.
struct Ticker {
    retry: Timer,
    maintenance: Timer,
}

impl Ticker {
    fn from_config(config: &Config) -> Result<Ticker, BoxError> {
        Ok(Ticker {
            retry: Timer::every(config.seconds(&RETRY_DELAY)?),
            maintenance: Timer::every(config.seconds(&MAINT_DELAY)?),
        })
    }
}

impl Script for Ticker {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        pgq::tick(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
        info!("ticking");
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let mut db = cx.database(DB)?;
        pgq::tick(&mut *db)?;
        // What fails beside the ticks must not hold them up; a lost connection fails the next tick anyway.
        if self.retry.is_due() {
            match pgq::retry_events(&mut db) {
                Ok(0) => {}
                Ok(returned) => cx.stats().put("retry-events", returned),
                Err(failed) => error!("{}", describe(&failed)),
            }
        }
        if self.maintenance.is_due()
            && let Err(failed) = pgq::maintain(&mut db)
        {
            error!("{}", describe(&failed));
        }
        Ok(Round::Idle)
    }
}

/// Is due at first, and then whenever its time has passed since.
struct Timer {
    every: Duration,
    last: Option<Instant>,
}

impl Timer {
    fn every(every: Duration) -> Timer {
        Timer { every, last: None }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= self.every);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}

/// Which schemas a command is about.
#[derive(Clone, Copy)]
struct Schemas {
    pgq: bool,
    pgq_ext: bool,
}

impl Schemas {
    fn named(names: &[&str]) -> Result<Schemas, BoxError> {
        if let Some(unknown) = names.iter().find(|name| !["pgq", "pgq_ext"].contains(name)) {
            return Err(Error::usage(format!("unknown schema `{unknown}`, only pgq and pgq_ext")).into());
        }
        let wanted = |name: &str| names.is_empty() || names.contains(&name);
        Ok(Schemas { pgq: wanted("pgq"), pgq_ext: wanted("pgq_ext") })
    }
}

fn install(names: &[&str], switches: &Switches) -> Result<Job, BoxError> {
    let schemas = Schemas::named(names)?;
    let kind = switches.value(SCHEMA).map(str::parse::<Kind>).transpose()?;
    if switches.has(PRINT) {
        return match kind {
            Some(Kind::Extension) => Err(Error::usage("only the own schema can be printed").into()),
            _ => Ok(Job::once(move |_| print(schemas))),
        };
    }
    Ok(Job::once(move |cx| {
        if schemas.pgq {
            let report = pgq::schema::install_as(&mut *cx.database(DB)?, kind)
                .map_err(|error| cx.locate(DB, error))?;
            info!("schema pgq: {report}");
        }
        if schemas.pgq_ext {
            let known =
                pgq_ext::schema::install(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
            info!("schema pgq_ext: {}", if known { "already installed, up to date" } else { "installed" });
        }
        Ok(())
    }))
}

fn uninstall(names: &[&str], switches: &Switches) -> Result<Job, BoxError> {
    let schemas = Schemas::named(names)?;
    let meant = switches.has(YES);
    Ok(Job::once(move |cx| {
        if !meant {
            let what = at_stake(cx, schemas)?;
            return Err(Error::usage(format!("that would remove {what} for ever; it takes --yes")).into());
        }
        if schemas.pgq {
            let removed =
                pgq::schema::uninstall(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
            match removed {
                Some(Kind::Own) => info!("schema pgq: removed, own schema"),
                Some(Kind::Extension) => info!("schema pgq: removed, extension"),
                None => info!("schema pgq: not installed"),
            }
        }
        if schemas.pgq_ext {
            let removed =
                pgq_ext::schema::uninstall(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
            info!("schema pgq_ext: {}", if removed { "removed" } else { "not installed" });
        }
        Ok(())
    }))
}

/// Names what uninstalling would remove.
fn at_stake(cx: &mut Context, schemas: Schemas) -> Result<String, BoxError> {
    let contents = match schemas.pgq {
        true => pgq::schema::contents(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?,
        false => None,
    };
    Ok(contents.map_or("what is recorded".to_owned(), |contents| contents.to_string()))
}

/// Prints the schemas' SQL for whoever installs it with `psql --single-transaction` or a migration tool.
fn print(schemas: Schemas) -> Result<(), BoxError> {
    let mut out = std::io::stdout().lock();
    if schemas.pgq {
        out.write_all(pgq::schema::sql().as_bytes())?;
    }
    if schemas.pgq_ext {
        out.write_all(pgq_ext::schema::sql().as_bytes())?;
    }
    Ok(out.flush()?)
}

fn create(queue: String) -> Job {
    Job::once(move |cx| {
        let new = pgq::create_queue(&mut *cx.database(DB)?, &queue).map_err(|error| cx.locate(DB, error))?;
        info!("queue `{queue}`: {}", if new { "created" } else { "already there" });
        Ok(())
    })
}

fn register(queue: String, consumer: String) -> Job {
    Job::once(move |cx| {
        let new = pgq::register_consumer(&mut *cx.database(DB)?, &queue, &consumer)
            .map_err(|error| cx.locate(DB, error))?;
        info!(
            "consumer `{consumer}` on queue `{queue}`: {}",
            if new { "registered" } else { "already registered" }
        );
        Ok(())
    })
}

fn unregister(queue: String, consumer: String) -> Job {
    Job::once(move |cx| {
        let gone = pgq::unregister_consumer(&mut *cx.database(DB)?, &queue, &consumer)
            .map_err(|error| cx.locate(DB, error))?;
        info!(
            "consumer `{consumer}` on queue `{queue}`: {}",
            if gone { "unregistered" } else { "not registered" }
        );
        Ok(())
    })
}

fn wrong(arguments: &[&str]) -> BoxError {
    let given = match arguments {
        [] => "no command given".to_owned(),
        [command @ ("ticker" | "create" | "register" | "unregister"), ..] => {
            format!("wrong number of arguments for command `{command}`")
        }
        [command, ..] => format!("unknown command `{command}`"),
    };
    Error::usage(format!("{given}; `pgqadm --help` lists the commands")).into()
}
