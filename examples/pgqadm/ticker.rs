//! The ticker of one database, or of many.

use std::time::Duration;

use dbscript::{BoxError, Config, Context, Databases, Job, Key, Round, Script, describe};
use log::error;
use pgq::ticker::{TickerPlan, TickerScope, TickerSettings, Tickers, TickersLoop};

use crate::DB;
use crate::metrics::{Alive, Server};

const LOOP_DELAY: Key = Key::with_default(
    "loop_delay",
    "0.1",
    "Seconds between two looks for queues that need a tick; 0 or below: one look only. Defaults to 0.1.",
)
.or_named(&["ticker_period"]);
const MAINT_DELAY: Key =
    Key::with_default("maint_delay", "600", "Seconds between two rounds of maintenance. Defaults to 600.")
        .or_named(&["maint_period"]);
const MAINT_DELAY_MIN: Key =
    Key::optional("maint_delay_min", "The same in minutes, instead of `maint_delay`. No default.");
const RETRY_DELAY: Key = Key::with_default(
    "retry_delay",
    "30",
    "Seconds between two looks for retry events whose time has come. Defaults to 30.",
)
.or_named(&["retry_period"]);
const EXCEPTION_SLEEP: Key =
    Key::with_default("exception_sleep", "5", "Seconds to wait after a failed round. Defaults to 5.");
const LIFETIME: Key = Key::with_default(
    "connection_lifetime",
    "1200",
    "Seconds after which database connections are closed and reopened. Defaults to 1200.",
);
const BASE_CONNSTR: Key = Key::optional(
    "base_connstr",
    "Connection string of a cluster, without a database, for `ticker` to look after many databases instead of \
     `db`. No default.",
);
const INITIAL_DATABASE: Key = Key::optional(
    "initial_database",
    "Database of a cluster that is asked for the others. Defaults to template1.",
);
const DATABASE_LIST: Key = Key::optional(
    "database_list",
    "Databases of a cluster, separated by commas. Defaults to all that have PgQ.",
);
const CHECK_PERIOD: Key = Key::with_default(
    "check_period",
    "60",
    "Seconds between two looks for the databases of a cluster. Defaults to 60.",
);
const SYSLOG: Key = Key::with_default(
    "syslog",
    "0",
    "Known from files of pgqd, and of no effect: `use_skylog` sends the log to syslog. Defaults to 0.",
);
const SYSLOG_IDENT: Key =
    Key::optional("syslog_ident", "Known from files of pgqd, and of no effect as well. No default.");

const METRICS_LISTEN: Key = Key::optional(
    "metrics_listen",
    "Address such as 127.0.0.1:9187 on which `/metrics`, `/live` and `/ready` are served over HTTP. No default: \
     nothing is served.",
);

/// The section of pgqd's files, which are about a cluster even when they set nothing.
pub(crate) const PGQD: &str = "pgqd";

/// The keys of the ticker.
pub(crate) const KEYS: [Key; 13] = [
    LOOP_DELAY,
    MAINT_DELAY,
    MAINT_DELAY_MIN,
    RETRY_DELAY,
    BASE_CONNSTR,
    INITIAL_DATABASE,
    DATABASE_LIST,
    CHECK_PERIOD,
    SYSLOG,
    SYSLOG_IDENT,
    EXCEPTION_SLEEP,
    LIFETIME,
    METRICS_LISTEN,
];

/// How long a round may last, and how long ago one may have reached a database, for the process to be well.
const PULSE_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn ticker(config: &Config, tickers: &Tickers) -> Result<Job, BoxError> {
    // Both are looked at, so that a file of pgqd is understood as a whole.
    config.boolean(&SYSLOG)?;
    config.get_opt(&SYSLOG_IDENT)?;
    let mut plan = TickerPlan::new(&config.job_name()?, scope(config)?);
    plan.check_period = config.seconds(&CHECK_PERIOD)?;
    plan.once = config.parsed::<f64>(&LOOP_DELAY)? <= 0.0;
    plan.settings = settings(config, plan.once)?;
    Ok(Job::looping(Served {
        script: tickers.follow(plan),
        tickers: tickers.clone(),
        listen: config.get_opt(&METRICS_LISTEN)?.filter(|listen| !listen.is_empty()),
        server: None,
    }))
}

/// The tickers, and the server of their metrics if there is to be one.
struct Served {
    script: TickersLoop,
    tickers: Tickers,
    listen: Option<String>,
    server: Option<Server>,
}

impl Served {
    /// Starts the server, if there is to be one and nothing is in its way any more.
    fn serve(&mut self) -> Result<(), BoxError> {
        if let (Some(listen), None) = (&self.listen, &self.server) {
            let [of_databases, of_life] = [self.tickers.clone(), self.tickers.clone()];
            self.server = Server::start(listen, move || of_databases.databases(), move || alive(&of_life))?;
        }
        Ok(())
    }
}

impl Script for Served {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.serve()?;
        self.script.startup(cx)
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        // After a reload the old server has ended by now. Ticks do not depend on the new one.
        if let Err(failed) = self.serve() {
            error!("metrics are not served any more: {}", describe(&*failed));
            self.listen = None;
        }
        self.script.work(cx)
    }

    fn is_alive(&self) -> bool {
        self.script.is_alive()
    }

    fn shutdown(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.script.shutdown(cx)
    }
}

fn alive(tickers: &Tickers) -> Alive {
    let reached = |status: pgq::ticker::TickerStatus| {
        status.last_round.is_some_and(|last| last.elapsed().is_ok_and(|ago| ago <= PULSE_LIMIT))
    };
    Alive {
        live: !tickers.all_are_stuck(PULSE_LIMIT),
        ready: tickers.status().into_iter().any(|(_, status)| reached(status)),
    }
}

fn scope(config: &Config) -> Result<TickerScope, BoxError> {
    let base = config.get_opt(&BASE_CONNSTR)?.unwrap_or_default();
    let initial = config.get_opt(&INITIAL_DATABASE)?.unwrap_or_default();
    let list: Vec<String> =
        config.list(&DATABASE_LIST)?.into_iter().filter(|name| !name.is_empty()).collect();
    Databases::check(&base).map_err(|error| config.broken(&BASE_CONNSTR).caused_by(error))?;
    let sets_none = base.is_empty() && initial.is_empty() && list.is_empty();
    if sets_none && config.service_name()? != PGQD {
        return Ok(TickerScope::Database(config.get(&Key::required(DB, ""))?));
    }
    let mut scope = TickerScope::cluster(&base);
    if let TickerScope::Cluster { initial: known, databases, .. } = &mut scope {
        *databases = list;
        if !initial.is_empty() {
            *known = initial;
        }
    }
    Ok(scope)
}

fn settings(config: &Config, once: bool) -> Result<TickerSettings, BoxError> {
    let mut settings = TickerSettings::default();
    if !once {
        settings.loop_delay = config.seconds(&LOOP_DELAY)?;
    }
    settings.retry_delay = config.seconds(&RETRY_DELAY)?;
    settings.maint_delay = config.seconds(&MAINT_DELAY)?;
    if config.get_opt(&MAINT_DELAY_MIN)?.is_some_and(|minutes| !minutes.is_empty()) {
        settings.maint_delay = config.seconds(&MAINT_DELAY_MIN)?.checked_mul(60).unwrap_or(Duration::MAX);
    }
    settings.exception_sleep = config.seconds(&EXCEPTION_SLEEP)?;
    settings.connection_lifetime = config.seconds(&LIFETIME)?;
    Ok(settings)
}
