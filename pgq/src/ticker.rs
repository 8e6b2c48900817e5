//! The ticker: it cuts the events of every queue into batches.

mod duty;
mod failing;
mod handle;
mod health;
pub(crate) mod maintenance;
mod mark;
mod queue;
mod round;
mod settings;
mod state;
pub(crate) mod tick;
pub(crate) mod tickers;
mod ticking;
mod watch;

pub use self::maintenance::{maintain, retry_events};
pub use self::tick::{tick, tick_channel};
pub use self::tickers::{DEFAULT_CHECK_PERIOD, TickerPlan, TickerScope, Tickers, TickersLoop};

use std::time::Duration;

use dbscript::Worker;

use self::duty::DUTY;
pub use self::handle::TickerHandle;
use self::round::TickerLoop;
pub(crate) use self::settings::DB;
pub use self::settings::TickerSettings;
pub use self::state::{TickerRole, TickerState, TickerStatus};
pub(crate) use self::ticking::Ticking;
use crate::error::{Error, contained};
use crate::ticker::maintenance::{Chore, ChoreLoop};

/// Describes the ticker of one database, with its maintenance, on threads of its own inside any program.
///
/// Each queue is ticked by its own rules; with each tick goes a notification on the queue's
/// [channel](crate::ticker::tick_channel). Of several tickers on one database one is at work, the others stand by and
/// take over within seconds when it is gone or fails. A server that is away is tried for again and again; one that
/// is silent for ten seconds counts as away, unless the connection string sets `tcp_user_timeout` and the like.
///
/// It takes two connections, and others for as long as there is maintenance to do.
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
    checks: bool,
}

impl Ticker {
    /// Describes a ticker. The connection string is libpq's, environment variables included.
    pub fn new(conninfo: &str) -> Ticker {
        Ticker {
            conninfo: conninfo.to_owned(),
            name: "ticker".to_owned(),
            settings: TickerSettings::default(),
            checks: true,
        }
    }

    /// Sets the name in log lines and on the server. Defaults to `ticker`.
    pub fn name(mut self, name: &str) -> Ticker {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets all that paces the ticker.
    pub fn settings(mut self, settings: TickerSettings) -> Ticker {
        self.settings = settings;
        self
    }

    /// Sets the time between two looks for queues that need a tick. Defaults to 0.1 seconds.
    pub fn loop_delay(mut self, delay: Duration) -> Ticker {
        self.settings.loop_delay = delay;
        self
    }

    /// Sets the time to wait after a failed round. Defaults to 5 seconds.
    pub fn exception_sleep(mut self, delay: Duration) -> Ticker {
        self.settings.exception_sleep = delay;
        self
    }

    /// Starts even when the server is away or PgQ is not there yet.
    pub(crate) fn unchecked(mut self) -> Ticker {
        self.checks = false;
        self
    }

    /// Connects and starts the threads.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, PgQ is missing, or no thread can be started.
    pub fn spawn(self) -> Result<TickerHandle, Error> {
        let failed = |error| Error::failed("the ticker does not start").caused_by(contained(error));
        let state = TickerState::default();
        let ticks = TickerLoop::new(state.clone(), self.settings.loop_delay, self.checks);
        let worker = self.worker(&self.name, ticks.pace()).database(DUTY, &self.conninfo);
        let mut workers = vec![worker.spawn(ticks).map_err(failed)?];
        for chore in Chore::ALL {
            let every = match chore {
                Chore::Retry => self.settings.retry_delay,
                Chore::Rotation | Chore::Extra | Chore::Vacuum => self.settings.maint_delay,
            };
            let chores = ChoreLoop::new(chore, every, state.clone());
            let worker = self.worker(&format!("{}, {chore}", self.name), chores.pace());
            workers.push(worker.spawn(chores).map_err(failed)?);
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
    }
}
