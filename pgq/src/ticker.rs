//! The ticker, which divides the events of each queue into batches.

mod cached_queue;
mod failing_queues;
mod handle;
mod health;
mod leadership;
pub(crate) mod maintenance;
mod queue_cache;
mod retry_watch;
mod settings;
mod snapshot_mark;
mod state;
pub(crate) mod tick;
mod tick_statement;
mod ticker_loop;
pub(crate) mod tickers;
mod ticking;

pub use self::maintenance::{deliver_delayed_events, insert_scheduled_events, maintain, retry_events};
pub use self::tick::{tick, tick_channel};
pub use self::tickers::{DEFAULT_CHECK_PERIOD, TickerPlan, TickerScope, Tickers, TickersLoop};

use std::time::Duration;

use dbscript::Worker;

pub use self::handle::TickerHandle;
use self::leadership::LEADERSHIP;
use self::maintenance::{MaintenanceLoop, MaintenanceTask};
pub(crate) use self::settings::DB;
pub use self::settings::TickerSettings;
pub use self::state::{TickerRole, TickerState, TickerStatus};
use self::ticker_loop::{AtStart, TickerLoop};
pub(crate) use self::ticking::Ticking;
use crate::error::{Error, contained};

/// Describes the ticker of one database and its maintenance, which run on threads of their own inside any program.
///
/// The ticker ticks each queue by the queue's own thresholds, and announces each tick by a notification on the queue's
/// [channel](crate::ticker::tick_channel). Of several tickers on one database one is the leader and ticks. The others
/// stand by and take over within seconds when the leader fails.
///
/// A retry event is redelivered within about a second of its time; delayed events and [scheduled](crate::schedule_event())
/// ones are inserted within about a second of theirs. While no such event waits, this costs nothing.
///
/// The ticker waits out outages; a server that stops responding is considered dead after 10 seconds, unless the
/// connection string sets `tcp_user_timeout` or the keepalive parameters.
///
/// The ticker keeps two connections open, and others while maintenance runs.
///
/// ```no_run
/// # fn main() -> Result<(), pgq::Error> {
/// let ticker = pgq::Ticker::new("dbname=queries").spawn()?;
/// // … the service does other things …
/// println!("{} ticks so far", ticker.state().status().ticks);
/// ticker.stop();
/// ticker.join()?;
/// # Ok(())
/// # }
/// ```
pub struct Ticker {
    conninfo: String,
    name: String,
    settings: TickerSettings,
    at_start: AtStart,
}

impl Ticker {
    /// Describes a ticker. The connection string is libpq's, environment variables included.
    pub fn new(conninfo: &str) -> Ticker {
        Ticker {
            conninfo: conninfo.to_owned(),
            name: "ticker".to_owned(),
            settings: TickerSettings::default(),
            at_start: AtStart::RequirePgq,
        }
    }

    /// Sets the name in log lines and on the server. Defaults to `ticker`.
    pub fn name(mut self, name: &str) -> Ticker {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets all delays of the ticker.
    pub fn settings(mut self, settings: TickerSettings) -> Ticker {
        self.settings = settings;
        self
    }

    /// Sets the time between two checks for queues that need a tick, see [`TickerSettings::loop_delay`]. Defaults to 0.1 seconds.
    pub fn loop_delay(mut self, delay: Duration) -> Ticker {
        self.settings.loop_delay = delay;
        self
    }

    /// Sets the time to wait after a failed round. Defaults to 5 seconds.
    pub fn exception_sleep(mut self, delay: Duration) -> Ticker {
        self.settings.exception_sleep = delay;
        self
    }

    /// Starts also when the server is not reachable or PgQ is not installed.
    pub(crate) fn wait_for_pgq(mut self) -> Ticker {
        self.at_start = AtStart::Wait;
        self
    }

    /// Connects and starts the threads.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, PgQ is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), or
    /// no thread can be started.
    pub fn spawn(self) -> Result<TickerHandle, Error> {
        let failed = |error| Error::failed("cannot start the ticker").made_of(contained(error));
        let state = TickerState::default();
        let ticks = TickerLoop::new(state.clone(), self.settings.loop_delay, self.at_start);
        let worker = self.worker(&self.name, ticks.pace()).database(LEADERSHIP, &self.conninfo);
        let mut workers = vec![worker.spawn(ticks).map_err(failed)?];
        for task in MaintenanceTask::ALL {
            let period = match task {
                MaintenanceTask::Retry => self.settings.retry_delay,
                MaintenanceTask::Rotation | MaintenanceTask::Extra | MaintenanceTask::Vacuum => {
                    self.settings.maint_delay
                }
            };
            let maintenance = MaintenanceLoop::new(task, period, state.clone());
            let worker = self.worker(&format!("{}, {task}", self.name), maintenance.pace());
            if task == MaintenanceTask::Retry {
                state.wakes_for_retries(worker.control());
            }
            workers.push(worker.spawn(maintenance).map_err(failed)?);
        }
        Ok(TickerHandle { workers, state, conninfo: self.conninfo })
    }

    fn worker(&self, name: &str, loop_delay: Duration) -> Worker {
        Worker::new(name)
            .application_name(&self.name)
            .database(DB, &self.conninfo)
            .loop_delay(loop_delay)
            .exception_sleep(self.settings.exception_sleep)
            .connection_lifetime(self.settings.connection_lifetime)
            .pin_search_path()
            .log_target("pgq::ticker")
    }
}
