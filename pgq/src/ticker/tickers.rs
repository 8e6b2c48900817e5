//! The tickers of one database or of many, looked after.

mod cluster;
mod pass;
mod plan;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::{error, info};

pub use self::plan::{DEFAULT_CHECK_PERIOD, TickerPlan, TickerScope};
pub use self::watching::TickersLoop;
use crate::ticker::{Ticker, TickerHandle, TickerRole, TickerStatus};

/// Runs a ticker for each database of a [`TickerPlan`]. Clones are the same tickers.
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
    /// Counts the scripts that have followed each other at reloads; the last one is in charge.
    generation: u64,
    plan: Option<TickerPlan>,
    running: BTreeMap<String, TickerHandle>,
}

impl Tickers {
    /// Returns the script that starts tickers, ends those of databases that are gone, and ends all of them when
    /// it is shut down.
    ///
    /// The next one that is started up takes over from it: with the same plan, the tickers just go on.
    pub fn follow(&self, plan: TickerPlan) -> TickersLoop {
        TickersLoop::new(self.clone(), plan)
    }

    /// Returns what the ticker of each database is doing. The names are those of databases, or `db` where the
    /// plan has one connection string.
    pub fn status(&self) -> Vec<(String, TickerStatus)> {
        let group = self.lock();
        group.running.iter().map(|(name, ticker)| (name.clone(), ticker.state().status())).collect()
    }

    /// Returns the name of each database, as [`status`](Tickers::status) has it, with its connection string.
    pub fn databases(&self) -> Vec<(String, String)> {
        let group = self.lock();
        group.running.iter().map(|(name, ticker)| (name.clone(), ticker.conninfo.clone())).collect()
    }

    /// Makes a plan the one that is followed; returns its generation.
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

    /// Starts a ticker, or another one for one that has ended.
    fn start(&self, plan: &TickerPlan, name: &str, conninfo: &str) {
        let ticker = Ticker::new(conninfo).name(&plan.job(name)).settings(plan.settings.clone()).unchecked();
        match ticker.spawn() {
            Ok(ticker) => {
                // One that is replaced ends, which takes a while, when the others can be looked at again.
                let replaced = self.lock().running.insert(name.to_owned(), ticker);
                drop(replaced);
            }
            Err(failed) => error!("{name}: {}", dbscript::describe(&failed)),
        }
    }

    /// Ends one ticker.
    fn end(&self, name: &str, why: &str) {
        let ticker = self.lock().running.remove(name);
        if let Some(ticker) = ticker {
            info!("database `{name}`: {why}, not ticking there any more");
            TickerHandle::end_all(vec![ticker], || false);
        }
    }

    /// Ends all tickers of a generation; a later one keeps them.
    fn end_all(&self, generation: u64, at_once: impl Fn() -> bool) {
        let mut group = self.lock();
        if group.generation == generation {
            group.plan = None;
            let running = std::mem::take(&mut group.running);
            drop(group);
            TickerHandle::end_all(running.into_values().collect(), at_once);
        }
    }

    /// Returns the names of the running tickers, and whether each has trouble.
    fn running(&self) -> BTreeMap<String, bool> {
        let group = self.lock();
        let trouble = |ticker: &TickerHandle| ticker.is_finished() || ticker.state().status().error.is_some();
        group.running.iter().map(|(name, ticker)| (name.clone(), trouble(ticker))).collect()
    }

    /// Returns whether a part of a ticker has ended by itself.
    fn has_ended(&self, name: &str) -> bool {
        self.lock().running.get(name).is_some_and(TickerHandle::is_finished)
    }

    /// Returns the databases whose tickers hang: a round began longer ago than that and has not ended.
    fn stuck(&self, longer_than: Duration) -> BTreeSet<String> {
        let group = self.lock();
        let stuck = group.running.iter().filter(|(_, ticker)| ticker.state().is_stuck(longer_than));
        stuck.map(|(name, _)| name.clone()).collect()
    }

    /// Returns whether every ticker hangs: its round began longer ago than that and has not ended. One that fails
    /// again and again does not, and without tickers none does.
    pub fn all_are_stuck(&self, longer_than: Duration) -> bool {
        let group = self.lock();
        let mut tickers = group.running.values().peekable();
        tickers.peek().is_some() && tickers.all(|ticker| ticker.state().is_stuck(longer_than))
    }

    /// Returns how many tickers have each part, and how many ticks, retried events and operations there were.
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
