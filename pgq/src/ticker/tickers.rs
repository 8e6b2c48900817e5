//! The tickers of one database or of a whole cluster, and the script that supervises them.

mod cluster;
mod once;
mod plan;
mod tickers_loop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::{error, info};

pub use self::plan::{DEFAULT_CHECK_PERIOD, TickerPlan, TickerScope};
pub use self::tickers_loop::TickersLoop;
use crate::ticker::{Ticker, TickerHandle, TickerRole, TickerStatus};

/// Runs a ticker for each database of a [`TickerPlan`]. Clones share the tickers.
///
/// ```no_run
/// # fn main() -> Result<(), dbscript::BoxError> {
/// use pgq::ticker::{TickerPlan, TickerScope, Tickers};
///
/// let cluster = TickerScope::cluster("host=db.example.org user=ticker");
/// let tickers = Tickers::default();
/// let worker = dbscript::Worker::new("tickers").spawn(tickers.follow(TickerPlan::new("ticker", cluster)))?;
/// for (database, status) in tickers.status() {
///     println!("{database}: {:?}, {} ticks", status.role, status.ticks);
/// }
/// worker.stop();
/// worker.join()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tickers(Arc<Mutex<Group>>);

/// The running tickers.
#[derive(Default)]
struct Group {
    /// Counts the scripts: each reload starts another one, and only the last one stops tickers.
    generation: u64,
    plan: Option<TickerPlan>,
    running: BTreeMap<String, TickerHandle>,
}

impl Tickers {
    /// Returns the script that starts a ticker for each database, stops those of databases that are gone, and stops all
    /// of them when it shuts down.
    ///
    /// When another script starts up, it takes over the tickers. With an equal plan they keep running.
    pub fn follow(&self, plan: TickerPlan) -> TickersLoop {
        TickersLoop::new(self.clone(), plan)
    }

    /// Returns the name of each database and the status of its ticker. If the plan has one connection string, the name
    /// is `db`.
    pub fn status(&self) -> Vec<(String, TickerStatus)> {
        let group = self.lock();
        group.running.iter().map(|(name, ticker)| (name.clone(), ticker.state().status())).collect()
    }

    /// Returns the name of each database, as in [`status`](Tickers::status), and its connection string.
    pub fn databases(&self) -> Vec<(String, String)> {
        let group = self.lock();
        group.running.iter().map(|(name, ticker)| (name.clone(), ticker.conninfo.clone())).collect()
    }

    /// Follows a plan from now on; returns its generation.
    fn take_over(&self, plan: &TickerPlan) -> u64 {
        let mut group = self.lock();
        group.generation += 1;
        let generation = group.generation;
        let unchanged = group.plan.as_ref() == Some(plan);
        group.plan = Some(plan.clone());
        let old = if unchanged { BTreeMap::new() } else { std::mem::take(&mut group.running) };
        drop(group);
        TickerHandle::end_all(old.into_values().collect(), || false);
        generation
    }

    /// Starts a ticker, in place of the one that has ended, if there is one.
    fn start(&self, plan: &TickerPlan, name: &str, conninfo: &str) {
        let ticker =
            Ticker::new(conninfo).name(&plan.job(name)).settings(plan.settings.clone()).wait_for_pgq();
        match ticker.spawn() {
            Ok(ticker) => {
                // Dropping a ticker takes a while, so it happens after the lock is released.
                let replaced = self.lock().running.insert(name.to_owned(), ticker);
                drop(replaced);
            }
            Err(failed) => error!("{name}: {}", dbscript::describe(&failed)),
        }
    }

    /// Stops a ticker.
    fn end(&self, name: &str, why: &str) {
        let ticker = self.lock().running.remove(name);
        if let Some(ticker) = ticker {
            info!("database `{name}`: {why}, stopping its ticker");
            TickerHandle::end_all(vec![ticker], || false);
        }
    }

    /// Stops all tickers, unless a later generation has taken them over.
    fn end_all(&self, generation: u64, at_once: impl Fn() -> bool) {
        let mut group = self.lock();
        if group.generation == generation {
            group.plan = None;
            let running = std::mem::take(&mut group.running);
            drop(group);
            TickerHandle::end_all(running.into_values().collect(), at_once);
        }
    }

    /// Returns the names of the running tickers and their health.
    fn running(&self) -> BTreeMap<String, Condition> {
        let group = self.lock();
        group.running.iter().map(|(name, ticker)| (name.clone(), Condition::of(ticker))).collect()
    }

    /// Returns whether a thread of a ticker has ended by itself.
    fn has_ended(&self, name: &str) -> bool {
        self.lock().running.get(name).is_some_and(TickerHandle::is_finished)
    }

    /// Returns the databases whose tickers hang: the current round began longer ago than this.
    fn stuck(&self, longer_than: Duration) -> BTreeSet<String> {
        let group = self.lock();
        let stuck = group.running.iter().filter(|(_, ticker)| ticker.state().is_stuck(longer_than));
        stuck.map(|(name, _)| name.clone()).collect()
    }

    /// Returns whether all tickers hang: the current round of each began longer ago than this. A ticker whose rounds
    /// fail does not hang. Returns `false` if there are no tickers.
    pub fn all_are_stuck(&self, longer_than: Duration) -> bool {
        let group = self.lock();
        let mut tickers = group.running.values().peekable();
        tickers.peek().is_some() && tickers.all(|ticker| ticker.state().is_stuck(longer_than))
    }

    /// Returns how many tickers are leader, standby and away, and the sums of their ticks, retried events and
    /// maintenance operations.
    fn totals(&self) -> ([usize; 3], [u64; 3]) {
        let (mut roles, mut work) = ([0; 3], [0; 3]);
        for (_, status) in self.status() {
            let place = match status.role {
                TickerRole::Ticking => 0,
                TickerRole::Standby => 1,
                TickerRole::Away => 2,
            };
            roles[place] += 1;
            for (sum, count) in work.iter_mut().zip([status.ticks, status.retried, status.maintained]) {
                *sum += count;
            }
        }
        (roles, work)
    }

    fn lock(&self) -> MutexGuard<'_, Group> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a running ticker works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Healthy,
    /// Its last round has failed, or one of its threads has ended.
    Failing,
}

impl Condition {
    fn of(ticker: &TickerHandle) -> Condition {
        match ticker.is_finished() || ticker.state().status().error.is_some() {
            true => Condition::Failing,
            false => Condition::Healthy,
        }
    }
}
