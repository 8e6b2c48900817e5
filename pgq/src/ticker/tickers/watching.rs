//! The script that looks after tickers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use dbscript::{BoxError, Context, Round, Script, describe, fingerprint, is_connection_error};
use log::{error, info, warn};

use super::pass::pass;
use super::{TickerPlan, TickerScope, Tickers, cluster};

/// How long the script sleeps between its rounds, in which it does next to nothing.
const NAP: Duration = Duration::from_millis(500);
/// It sleeps that long at least, however often databases are to be looked for.
const SHORTEST_NAP: Duration = Duration::from_millis(100);
/// How soon databases are looked for again after a ticker has got into trouble.
const SOON: Duration = Duration::from_secs(5);
/// How often the log tells what was done.
const REPORT: Duration = Duration::from_secs(300);
/// A round that takes longer hangs.
const STUCK: Duration = Duration::from_secs(30);

/// Looks after [`Tickers`]. It sleeps by itself, so a loop's `loop_delay` means nothing to it.
pub struct TickersLoop {
    tickers: Tickers,
    plan: TickerPlan,
    generation: u64,
    checked: Option<Instant>,
    /// When the databases in trouble were last looked at.
    helped: Option<Instant>,
    /// When the cluster was last asked for its databases.
    asked: Option<SystemTime>,
    reported: Instant,
    told: [u64; 3],
    /// The gist of the last complaint about each database, and about the cluster.
    complaints: BTreeMap<String, String>,
    /// The databases whose tickers hang, as far as that was told.
    stuck: BTreeSet<String>,
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
            helped: None,
            asked: None,
            reported: Instant::now(),
            told: [0; 3],
            complaints: BTreeMap::new(),
            stuck: BTreeSet::new(),
            seen: None,
            alive: false,
        }
    }

    /// Starts and ends tickers, so that they are those of the databases that there are; new ones are looked at
    /// only if `all` are.
    fn check(&mut self, cx: &mut Context, all: bool) {
        let databases = match cluster::databases(cx, &self.plan.scope) {
            Ok(databases) => databases,
            Err(failed) => return self.complain("", &*failed),
        };
        self.complaints.remove("");
        if self.plan.is_cluster() {
            self.asked = Some(SystemTime::now());
        }
        let running = self.tickers.running();
        let there: BTreeSet<&String> = databases.iter().map(|(name, _)| name).collect();
        for name in running.keys().filter(|name| !there.contains(name)) {
            self.tickers.end(name, "gone or closed to connections");
        }
        for (name, conninfo) in &databases {
            let troubled = running.get(name).copied();
            if troubled.unwrap_or(all) && !cx.control().is_stopping() {
                self.check_one(cx, name, conninfo, troubled.is_some());
            }
        }
    }

    /// Starts the ticker of a database if there is to be one.
    fn check_one(&mut self, cx: &mut Context, name: &str, conninfo: &str, runs: bool) {
        if self.plan.is_cluster() && !self.is_wanted(cx, name, conninfo, runs) {
            return;
        }
        if !runs || self.tickers.has_ended(name) {
            self.tickers.start(&self.plan, name, conninfo);
        }
    }

    /// Returns whether a database has PgQ; of one that has it no more the ticker is ended.
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
                    self.complain(name, &crate::error::Error::missing("PgQ is not installed"));
                }
                false
            }
            Err(failed) if cluster::is_untrusted(&*failed) => {
                if runs {
                    self.tickers.end(name, "PgQ is not to be trusted");
                }
                self.complain(name, &*failed);
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
        let gist = fingerprint(&line);
        if self.complaints.get(name) != Some(&gist) {
            match name {
                "" => error!("cannot look for databases: {line}"),
                _ => warn!("database `{name}`: {line}"),
            }
            self.complaints.insert(name.to_owned(), gist);
        }
    }

    /// Looks for databases when it is time; sooner at those that are in trouble.
    fn check_if_due(&mut self, cx: &mut Context) {
        let elapsed = |at: Option<Instant>, limit| at.is_none_or(|at| at.elapsed() >= limit);
        if elapsed(self.checked, self.plan.check_period) {
            (self.checked, self.helped) = (Some(Instant::now()), Some(Instant::now()));
            self.check(cx, true);
        } else if elapsed(self.helped, SOON) && self.tickers.running().values().any(|trouble| *trouble) {
            self.helped = Some(Instant::now());
            self.check(cx, false);
        }
    }

    /// Returns when a database was last reached: by its ticker, if there is any.
    fn last_reached(&self) -> Option<SystemTime> {
        let rounds = self.tickers.status();
        let reached = rounds.iter().map(|(_, status)| status.last_round).max();
        reached.unwrap_or(self.asked)
    }

    /// Logs which tickers hang, each once.
    fn tell_stuck(&mut self) {
        let stuck = self.tickers.stuck(STUCK);
        for name in stuck.difference(&self.stuck) {
            error!("database `{name}`: a round does not end");
        }
        self.stuck = stuck;
    }

    /// Notes whether any database was reached since the last time, and tells what is being done.
    fn report(&mut self, cx: &mut Context) {
        let last = self.last_reached();
        self.alive = last > self.seen;
        self.seen = last;
        self.tell_stuck();
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

/// Returns how long to sleep between rounds.
fn nap(check_period: Duration) -> Duration {
    check_period.clamp(SHORTEST_NAP, NAP)
}

impl Script for TickersLoop {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        cx.databases().pin_search_path();
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
            // What the tickers that go on have done is told of already.
            (_, self.told) = self.tickers.totals();
        }
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        if self.plan.once {
            return pass(cx, &self.plan).map(|()| Round::Idle);
        }
        self.check_if_due(cx);
        cx.control().sleep(nap(self.plan.check_period));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_between_rounds_however_short_the_period_is() {
        assert_eq!(nap(Duration::ZERO), SHORTEST_NAP);
        assert_eq!(nap(Duration::from_millis(200)), Duration::from_millis(200));
        assert_eq!(nap(Duration::from_secs(60)), NAP);
    }
}
