//! The delays of a ticker.

use std::time::Duration;

/// The name of the database in a worker's context and in messages.
pub(crate) const DB: &str = "db";

/// The delays of a ticker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TickerSettings {
    /// Time between two checks for queues that need a tick. After a check that took long, as on a busy machine, the ticker
    /// rests three times as long, up to 0.1 seconds. Defaults to 0.1 seconds.
    pub loop_delay: Duration,
    /// The longest time between two checks for due retry events. The ticker also checks when it has read that one is
    /// due. Defaults to 30 seconds.
    pub retry_delay: Duration,
    /// Time between two rounds of maintenance. Defaults to 600 seconds.
    pub maint_delay: Duration,
    /// Time to wait after a failed round. Another ticker, which checks once a second, can take over meanwhile. Defaults
    /// to 5 seconds.
    pub exception_sleep: Duration,
    /// Age at which connections are replaced. Defaults to 20 minutes.
    pub connection_lifetime: Duration,
}

impl Default for TickerSettings {
    fn default() -> TickerSettings {
        TickerSettings {
            loop_delay: Duration::from_millis(100),
            retry_delay: Duration::from_secs(30),
            maint_delay: Duration::from_secs(600),
            exception_sleep: Duration::from_secs(5),
            connection_lifetime: dbscript::DEFAULT_CONNECTION_LIFETIME,
        }
    }
}
