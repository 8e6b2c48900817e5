//! The script that looks after tickers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use dbscript::{BoxError, Context, Round, Script, describe, is_connection_error};
use log::{error, info, warn};

use super::cluster::{self, ONLY};
use super::{TickerPlan, TickerScope, Tickers};

/// How long the script sleeps between its rounds, in which it does next to nothing.
const NAP: Duration = Duration::from_millis(500);
/// How soon databases are looked for again after a ticker has got into trouble.
const SOON: Duration = Duration::from_secs(5);
/// How often the log tells what was done.
const REPORT: Duration = Duration::from_secs(300);
/// A round that takes longer hangs, and is no reason to think that all is well.
const STUCK: Duration = Duration::from_secs(30);

/// Looks after [`Tickers`]. It sleeps by itself, so a loop's `loop_delay` means nothing to it.
pub struct TickersLoop {
    tickers: Tickers,
    plan: TickerPlan,
    generation: u64,
    checked: Option<Instant>,
    /// When the cluster was last asked for its databases.
    asked: Option<SystemTime>,
    reported: Instant,
    told: [u64; 3],
    /// The last complaint about each database, and about the cluster.
    complaints: BTreeMap<String, String>,
    /// The last sign of life that was given.
    seen: Option<SystemTime>,
    alive: bool,
}

impl TickersLoop {
    pub(super) fn new(tickers: Tickers, plan: TickerPlan) -> TickersLoop {
        TickersLoop {
            tickers,
            plan,
            generation: 0,
            checked: None,
            asked: None,
            reported: Instant::now(),
            told: [0; 3],
            complaints: BTreeMap::new(),
            seen: None,
            alive: false,
        }
    }

    /// Ticks and maintains every database once.
    fn pass(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        for (name, conninfo) in cluster::databases(cx, &self.plan.scope)? {
            if name != ONLY && !cluster::has_pgq(cx, &conninfo)? {
                continue;
            }
            cx.databases().set(&name, &conninfo);
            let result = (|| -> Result<(), crate::Error> {
                let mut db =
                    cx.database(&name).map_err(|error| crate::Error::failed("no ticks").caused_by(error))?;
                crate::tick(&mut *db)?;
                let retried = crate::retry_events(&mut db);
                crate::maintain(&mut db).and(retried).map(|_| ())
            })();
            cx.databases().close(&name);
            result.map_err(|error| cx.locate(&name, error))?;
        }
        Ok(())
    }

    /// Starts and ends tickers, so that they are those of the databases that there are.
    fn check(&mut self, cx: &mut Context) {
        let databases = match cluster::databases(cx, &self.plan.scope) {
            Ok(databases) => databases,
            Err(failed) => return self.complain("", &*failed),
        };
        self.complaints.remove("");
        let is_cluster = matches!(self.plan.scope, TickerScope::Cluster { .. });
        if is_cluster {
            self.asked = Some(SystemTime::now());
        }
        let running = self.tickers.running();
        let there: BTreeSet<&String> = databases.iter().map(|(name, _)| name).collect();
        for name in running.keys().filter(|name| !there.contains(name)) {
            self.tickers.end(name, "it is gone");
        }
        for (name, conninfo) in &databases {
            let troubled = running.get(name).copied();
            if troubled == Some(false) || cx.control().is_stopping() {
                continue;
            }
            if is_cluster && !self.is_wanted(cx, name, conninfo, troubled.is_some()) {
                continue;
            }
            if troubled.is_none() || self.tickers.has_ended(name) {
                self.tickers.start(&self.plan, name, conninfo);
            }
        }
    }

    /// Tells whether a database has PgQ; of one that has it no more the ticker is ended.
    fn is_wanted(&mut self, cx: &mut Context, name: &str, conninfo: &str, runs: bool) -> bool {
        match cluster::has_pgq(cx, conninfo) {
            Ok(true) => {
                if !runs {
                    info!("database `{name}`: found PgQ");
                }
                self.complaints.remove(name);
                true
            }
            Ok(false) if runs => {
                self.tickers.end(name, "PgQ is gone");
                false
            }
            Ok(false) => {
                if self.is_listed(name) {
                    self.complain(name, &crate::Error::missing("PgQ is not installed"));
                }
                false
            }
            // The ticker itself tells what is wrong.
            Err(_) if runs => false,
            Err(failed) => {
                self.complain(name, &*failed);
                false
            }
        }
    }

    fn is_listed(&self, name: &str) -> bool {
        matches!(&self.plan.scope, TickerScope::Cluster { databases, .. } if databases.iter().any(|one| one == name))
    }

    /// Logs what is wrong with a database, each text once.
    fn complain(&mut self, name: &str, failed: &(dyn std::error::Error + 'static)) {
        let line = describe(failed);
        if self.complaints.get(name) != Some(&line) {
            match name {
                "" => error!("cannot look for databases: {line}"),
                _ => warn!("database `{name}`: {line}"),
            }
            self.complaints.insert(name.to_owned(), line);
        }
    }

    fn is_time_to_check(&self) -> bool {
        let Some(checked) = self.checked else { return true };
        let trouble = || self.tickers.running().values().any(|trouble| *trouble);
        checked.elapsed() >= self.plan.check_period || (checked.elapsed() >= SOON && trouble())
    }

    /// Returns when a database was last reached.
    fn last_reached(&self) -> Option<SystemTime> {
        let rounds = self.tickers.status();
        rounds.iter().filter_map(|(_, status)| status.last_round).max().max(self.asked)
    }

    /// Notes whether any database was reached since the last time, and tells what is being done.
    fn report(&mut self, cx: &mut Context) {
        let last = self.last_reached();
        self.alive = last > self.seen && !self.tickers.any_is_stuck(STUCK);
        self.seen = last;
        let (roles, work) = self.tickers.totals();
        let [ticking, standby, away] = roles;
        cx.set_status(format!("databases: {ticking} ticking, {standby} standing by, {away} away"));
        if self.reported.elapsed() >= REPORT {
            self.reported = Instant::now();
            for (at, name) in ["ticks", "retry-events", "maintenance"].into_iter().enumerate() {
                // The counts of tickers that have ended are not in the totals any more.
                cx.stats().put(name, work[at].saturating_sub(self.told[at]));
            }
            self.told = work;
        }
    }
}

impl Script for TickersLoop {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let result = match &self.plan.scope {
            TickerScope::Database(conninfo) => cluster::require(cx, conninfo),
            TickerScope::Cluster { .. } => cluster::databases(cx, &self.plan.scope).map(|_| ()),
        };
        match result {
            // A server that is away now comes back.
            Err(failed) if is_connection_error(&*failed) && !self.plan.once => {
                error!("going on without it: {}", describe(&*failed));
            }
            result => result?,
        }
        if !self.plan.once {
            self.generation = self.tickers.take_over(&self.plan);
            self.seen = self.last_reached();
        }
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        if self.plan.once {
            return self.pass(cx).map(|()| Round::Idle);
        }
        if self.is_time_to_check() {
            self.checked = Some(Instant::now());
            self.check(cx);
        }
        cx.control().sleep(NAP.min(self.plan.check_period));
        self.report(cx);
        if cx.control().is_stopping() {
            let control = cx.control().clone();
            self.tickers.end_all(self.generation, move || control.is_aborting());
        }
        Ok(Round::Worked)
    }

    fn is_alive(&self) -> bool {
        self.plan.once || self.alive
    }

    fn shutdown(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let control = cx.control().clone();
        self.tickers.end_all(self.generation, move || control.is_aborting());
        Ok(())
    }
}
