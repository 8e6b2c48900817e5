//! The ticker of one database, or of many.

use std::time::Duration;

use dbscript::{BoxError, Config, Context, Databases, Error, Job, Key, Round, Script, keys};
use pgq::ticker::{TickerPlan, TickerScope, TickerSettings, Tickers, TickersLoop};

use crate::DB;
use crate::metrics::{Credentials, Health, Listen, Server};

keys! {
    /// The keys of the ticker.
    pub(crate) KEYS;

    LOOP_DELAY: default("loop_delay" | "ticker_period", "0.1"),
        "Seconds between two checks for queues that need a tick, longer after a check that took long; 0 or below: one check only.";
    MAINT_DELAY: default("maint_delay" | "maint_period", "600"), "Seconds between two rounds of maintenance.";
    MAINT_DELAY_MIN: optional("maint_delay_min"), "The same in minutes, instead of `maint_delay`. No default.";
    RETRY_DELAY: default("retry_delay" | "retry_period", "30"),
        "Seconds between two checks for retry events that are due.";
    BASE_CONNSTR: optional("base_connstr"),
        "Connection string of a cluster, without a database, for `ticker` to serve many databases instead of `db`. No default.";
    INITIAL_DATABASE: optional("initial_database"),
        "Database of a cluster in which the ticker lists the others. Defaults to template1.";
    DATABASE_LIST: optional("database_list"),
        "Databases of a cluster, separated by commas. Defaults to all that have PgQ.";
    CHECK_PERIOD: default("check_period", "60"), "Seconds between two checks for the databases of a cluster.";
    SYSLOG: default("syslog", "0"),
        "Accepted in files of pgqd, without effect: `use_skylog` sends the log to syslog.";
    SYSLOG_IDENT: optional("syslog_ident"), "Accepted in files of pgqd, without effect as well. No default.";
    EXCEPTION_SLEEP: default("exception_sleep", "5"), "Seconds to wait after a failed round.";
    LIFETIME: default("connection_lifetime", "1200"),
        "Seconds after which database connections are closed and reopened.";
    METRICS_LISTEN: optional("metrics_listen"),
        "Address such as 127.0.0.1:9187, or a port of 127.0.0.1, on which a display for browsers, `/metrics`, `/live` \
         and `/ready` are served over HTTP. No default: nothing is served.";
    METRICS_USER: optional("metrics_user"),
        "User that the display and `/metrics` require, together with `metrics_password`. No default.";
    METRICS_PASSWORD: optional("metrics_password"),
        "Password of that user. With one, the display shows the data and the reasons of failed events. No default.";
}

/// The section of pgqd's files, which configure a cluster even if they set no databases.
pub(crate) const PGQD: &str = "pgqd";

/// The longest duration of a round, and the largest age of the last successful round, of a healthy process.
const PULSE_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn ticker(config: &Config, tickers: &Tickers, server: &Server) -> Result<Job, BoxError> {
    // These keys have no effect, but an invalid value is an error.
    config.boolean(&SYSLOG)?;
    config.get_opt(&SYSLOG_IDENT)?;
    let mut plan = TickerPlan::new(&config.job_name()?, scope(config)?);
    plan.check_period = config.seconds(&CHECK_PERIOD)?;
    plan.once = config.parsed::<f64>(&LOOP_DELAY)? <= 0.0;
    plan.settings = settings(config, plan.once)?;
    Ok(Job::looping(Served {
        script: tickers.follow(plan),
        tickers: tickers.clone(),
        listen: listen(config)?,
        server: server.clone(),
    }))
}

/// The tickers, and their metrics server if an address is set.
struct Served {
    script: TickersLoop,
    tickers: Tickers,
    listen: Option<Listen>,
    server: Server,
}

impl Script for Served {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let [of_databases, of_health] = [self.tickers.clone(), self.tickers.clone()];
        let databases = move || of_databases.databases();
        self.server.listen(self.listen.clone(), databases, move || health(&of_health))?;
        self.script.startup(cx)
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        self.script.work(cx)
    }

    fn is_alive(&self) -> bool {
        self.script.is_alive()
    }

    fn shutdown(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.script.shutdown(cx)
    }
}

fn health(tickers: &Tickers) -> Health {
    let reached = |status: pgq::ticker::TickerStatus| {
        status.last_round.is_some_and(|last| last.elapsed().is_ok_and(|ago| ago <= PULSE_LIMIT))
    };
    Health {
        is_live: !tickers.all_are_stuck(PULSE_LIMIT),
        is_ready: tickers.status().into_iter().any(|(_, status)| reached(status)),
    }
}

/// Reads the address, the user and the password of the server. Fails if only one of the latter two is set.
fn listen(config: &Config) -> Result<Option<Listen>, BoxError> {
    let set = |key| Ok::<_, Error>(config.get_opt(key)?.filter(|value| !value.is_empty()));
    let credentials = match (set(&METRICS_USER)?, set(&METRICS_PASSWORD)?) {
        (Some(user), Some(password)) if !user.contains(':') => Some(Credentials::new(&user, &password)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Error::usage("metrics_user must not contain a colon").into()),
        _ => return Err(Error::usage("metrics_user and metrics_password must be set together").into()),
    };
    Ok(set(&METRICS_LISTEN)?.map(|address| Listen::new(&address, credentials)))
}

fn scope(config: &Config) -> Result<TickerScope, BoxError> {
    let base = config.get_opt(&BASE_CONNSTR)?.unwrap_or_default();
    let initial = config.get_opt(&INITIAL_DATABASE)?.unwrap_or_default();
    let list: Vec<String> =
        config.list(&DATABASE_LIST)?.into_iter().filter(|name| !name.is_empty()).collect();
    Databases::check(&base).map_err(|error| config.invalid_secret(&BASE_CONNSTR).caused_by(error))?;
    let sets_none = base.is_empty() && initial.is_empty() && list.is_empty();
    if sets_none && config.service_name()? != PGQD {
        return Ok(TickerScope::Database(config.get(&Key::required(DB, ""))?));
    }
    let mut scope = TickerScope::cluster(&base);
    if let TickerScope::Cluster { initial: database, databases, .. } = &mut scope {
        *databases = list;
        if !initial.is_empty() {
            *database = initial;
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
