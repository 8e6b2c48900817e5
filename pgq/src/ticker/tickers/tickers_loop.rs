//! The script that supervises tickers.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::time::{Duration, Instant, SystemTime};

use dbscript::{BoxError, Context, Round, Script, describe, fingerprint, is_connection_error, shortened};
use log::{error, info, warn};

use super::once::tick_all_once;
use super::{Condition, TickerPlan, TickerScope, Tickers, cluster};
use crate::error::Error;

/// The longest sleep between rounds.
const MAX_SLEEP: Duration = Duration::from_millis(500);
/// The shortest sleep between rounds, for a short `check_period`.
const MIN_SLEEP: Duration = Duration::from_millis(100);
/// The time between checks of the databases whose tickers fail.
const RECHECK_PERIOD: Duration = Duration::from_secs(5);
/// The time between two lines of statistics.
const STATS_PERIOD: Duration = Duration::from_secs(300);
/// A round of a ticker that takes longer hangs.
const STUCK: Duration = Duration::from_secs(30);

/// Supervises [`Tickers`]. It sleeps between its rounds by itself and ignores the loop's `loop_delay`.
pub struct TickersLoop {
    tickers: Tickers,
    plan: TickerPlan,
    generation: u64,
    checked: Option<Instant>,
    /// When the databases of failing tickers were last checked.
    rechecked: Option<Instant>,
    /// When the list of databases was last read from the cluster.
    listed: Option<SystemTime>,
    stats_logged: Instant,
    /// The totals of the last line of statistics.
    counted: [u64; 3],
    /// The fingerprint of the last problem that was logged of each database, and of the list of databases.
    problems: BTreeMap<String, String>,
    /// The databases whose tickers hang, as far as logged.
    stuck: BTreeSet<String>,
    /// When a database was last reached, as of the last round.
    reached: Option<SystemTime>,
    is_alive: bool,
}

/// The name of the list of databases among the [problems](TickersLoop::problems).
const LIST: &str = "";

/// Which databases a check covers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coverage {
    /// Databases without a ticker, and those whose tickers fail.
    NewAndFailing,
    /// Databases whose tickers fail.
    Failing,
}

impl TickersLoop {
    pub(super) fn new(tickers: Tickers, plan: TickerPlan) -> TickersLoop {
        TickersLoop {
            tickers,
            plan,
            generation: 0,
            checked: None,
            rechecked: None,
            listed: None,
            stats_logged: Instant::now(),
            counted: [0; 3],
            problems: BTreeMap::new(),
            stuck: BTreeSet::new(),
            reached: None,
            is_alive: false,
        }
    }

    /// Checks all databases when it is time, and those of failing tickers more often.
    fn check_if_due(&mut self, cx: &mut Context) {
        let is_due = |at: Option<Instant>, period| at.is_none_or(|at| at.elapsed() >= period);
        if is_due(self.checked, self.plan.check_period) {
            (self.checked, self.rechecked) = (Some(Instant::now()), Some(Instant::now()));
            self.check(cx, Coverage::NewAndFailing);
        } else if is_due(self.rechecked, RECHECK_PERIOD) && self.is_any_failing() {
            self.rechecked = Some(Instant::now());
            self.check(cx, Coverage::Failing);
        }
    }

    fn is_any_failing(&self) -> bool {
        self.tickers.running().values().any(|condition| *condition == Condition::Failing)
    }

    /// Reads the list of databases, stops the tickers of those that are gone, and checks each of the others.
    fn check(&mut self, cx: &mut Context, coverage: Coverage) {
        let databases = match cluster::databases(cx, &self.plan.scope) {
            Ok(databases) => databases,
            Err(failed) => return self.log_problem(LIST, &*failed),
        };
        self.problems.remove(LIST);
        if self.plan.is_cluster() {
            self.listed = Some(SystemTime::now());
        }
        let running = self.tickers.running();
        let present: BTreeSet<&String> = databases.iter().map(|(name, _)| name).collect();
        for name in running.keys().filter(|name| !present.contains(name)) {
            self.tickers.end(name, "gone or closed to connections");
        }
        for (name, conninfo) in &databases {
            let ticker = running.get(name).copied();
            let is_covered = match ticker {
                Some(condition) => condition == Condition::Failing,
                None => coverage == Coverage::NewAndFailing,
            };
            if is_covered && !cx.control().is_stopping() {
                self.check_database(cx, name, conninfo, ticker);
            }
        }
    }

    /// Starts the ticker of a database that has PgQ, and stops that of a database that has it no longer.
    fn check_database(&mut self, cx: &mut Context, name: &str, conninfo: &str, ticker: Option<Condition>) {
        let is_wanted = !self.plan.is_cluster()
            || match ticker {
                Some(_) => self.keeps_ticker(cx, name, conninfo),
                None => self.needs_ticker(cx, name, conninfo),
            };
        if is_wanted && (ticker.is_none() || self.tickers.has_ended(name)) {
            self.tickers.start(&self.plan, name, conninfo);
        }
    }

    /// Returns whether a database with a failing ticker has PgQ; stops the ticker if PgQ is missing or untrusted.
    fn keeps_ticker(&mut self, cx: &mut Context, name: &str, conninfo: &str) -> bool {
        match cluster::has_pgq(cx, conninfo) {
            Ok(true) => {
                self.problems.remove(name);
                return true;
            }
            Ok(false) => self.tickers.end(name, "PgQ is gone"),
            Err(failed) if cluster::is_untrusted(&*failed) => {
                self.tickers.end(name, "PgQ belongs to a role that is not trusted");
                self.log_problem(name, &*failed);
            }
            // The ticker logs the error itself.
            Err(_) => {}
        }
        false
    }

    /// Returns whether a database without a ticker has PgQ, and logs what has changed.
    fn needs_ticker(&mut self, cx: &mut Context, name: &str, conninfo: &str) -> bool {
        match cluster::has_pgq(cx, conninfo) {
            Ok(true) => {
                info!("database `{name}`: found PgQ");
                self.problems.remove(name);
                return true;
            }
            Ok(false) if self.is_listed_in_plan(name) => {
                self.log_problem(name, &Error::missing("PgQ is not installed"));
            }
            Ok(false) => {}
            Err(failed) => self.log_problem(name, &*failed),
        }
        false
    }

    fn is_listed_in_plan(&self, name: &str) -> bool {
        matches!(&self.plan.scope, TickerScope::Cluster { databases, .. } if databases.iter().any(|one| one == name))
    }

    /// Logs a problem of a database, or of the list of databases, unless the last one was the same.
    fn log_problem(&mut self, name: &str, failed: &(dyn StdError + 'static)) {
        let line = describe(failed);
        let fingerprint = fingerprint(&line);
        if self.problems.get(name) != Some(&fingerprint) {
            match name {
                LIST => error!("cannot list the databases: {line}"),
                _ => warn!("database `{name}`: {line}"),
            }
            self.problems.insert(name.to_owned(), fingerprint);
        }
    }

    /// Records whether any database was reached since the last round, and reports the status of the tickers.
    fn report(&mut self, cx: &mut Context) {
        let reached = self.last_reached();
        self.is_alive = reached > self.reached;
        self.reached = reached;
        self.log_stuck();
        let (roles, work) = self.tickers.totals();
        let [ticking, standby, away] = roles;
        cx.set_status(format!("databases: {ticking} ticking, {standby} standing by, {away} away"));
        if self.stats_logged.elapsed() >= STATS_PERIOD {
            self.stats_logged = Instant::now();
            for (at, name) in ["ticks", "retry-events", "maintenance"].into_iter().enumerate() {
                // The totals no longer include tickers that have ended.
                cx.stats().put(name, work[at].saturating_sub(self.counted[at]));
            }
            self.counted = work;
        }
    }

    /// Returns when a database was last reached: by a ticker, or if there are none, by the list of databases.
    fn last_reached(&self) -> Option<SystemTime> {
        let tickers = self.tickers.status();
        let reached = tickers.iter().map(|(_, status)| status.last_round).max();
        reached.unwrap_or(self.listed)
    }

    /// Logs which tickers hang, each once.
    fn log_stuck(&mut self) {
        let stuck = self.tickers.stuck(shortened(STUCK));
        for name in stuck.difference(&self.stuck) {
            error!("database `{name}`: a round does not end");
        }
        self.stuck = stuck;
    }
}

/// Returns how long to sleep between rounds.
fn sleep_time(check_period: Duration) -> Duration {
    check_period.clamp(MIN_SLEEP, MAX_SLEEP)
}

impl Script for TickersLoop {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        cx.databases().pin_search_path();
        let result = match &self.plan.scope {
            TickerScope::Database(conninfo) => cluster::require(cx, conninfo),
            TickerScope::Cluster { .. } => cluster::databases(cx, &self.plan.scope).map(|_| ()),
        };
        match result {
            // An outage of the server ends.
            Err(failed) if is_connection_error(&*failed) && !self.plan.once => {
                error!("continuing without a connection: {}", describe(&*failed));
            }
            result => result?,
        }
        if !self.plan.once {
            self.generation = self.tickers.take_over(&self.plan);
            self.reached = self.last_reached();
            // The script before this one has reported the work of the tickers that keep running.
            (_, self.counted) = self.tickers.totals();
        }
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        if self.plan.once {
            return tick_all_once(cx, &self.plan).map(|()| Round::Idle);
        }
        self.check_if_due(cx);
        cx.control().sleep(sleep_time(self.plan.check_period));
        self.report(cx);
        if cx.control().is_stopping() {
            let control = cx.control().clone();
            self.tickers.end_all(self.generation, move || control.is_aborting());
        }
        Ok(Round::Worked)
    }

    fn is_alive(&self) -> bool {
        self.plan.once || self.is_alive
    }

    fn shutdown(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let control = cx.control().clone();
        self.tickers.end_all(self.generation, move || control.is_aborting());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_between_rounds_even_if_the_period_is_short() {
        assert_eq!(sleep_time(Duration::ZERO), MIN_SLEEP);
        assert_eq!(sleep_time(Duration::from_millis(200)), Duration::from_millis(200));
        assert_eq!(sleep_time(Duration::from_secs(60)), MAX_SLEEP);
    }
}
