//! The plan of a set of tickers: the databases and the settings.

use std::time::Duration;

use crate::ticker::TickerSettings;

/// Default of [`TickerPlan::check_period`].
pub const DEFAULT_CHECK_PERIOD: Duration = Duration::from_secs(60);
/// The database whose catalog lists the others.
const INITIAL_DATABASE: &str = "template1";

/// The databases to tick, and the settings of their tickers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TickerPlan {
    /// The name in log lines and on the servers. In a cluster, a slash and the name of the database follow.
    pub job: String,
    /// The databases.
    pub scope: TickerScope,
    /// How often the list of databases is read. Defaults to a minute ([`DEFAULT_CHECK_PERIOD`]).
    pub check_period: Duration,
    /// The settings of each ticker.
    pub settings: TickerSettings,
    /// Ticks and maintains each database once instead of starting tickers. Defaults to `false`.
    pub once: bool,
}

/// The databases to tick.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TickerScope {
    /// One database, by its connection string.
    Database(String),
    /// Databases of one cluster.
    Cluster {
        /// The connection string without a database.
        base: String,
        /// The database whose catalog lists the others.
        initial: String,
        /// The databases; if empty, all databases with PgQ.
        databases: Vec<String>,
    },
}

impl TickerPlan {
    /// Makes a plan with all defaults.
    pub fn new(job: &str, scope: TickerScope) -> TickerPlan {
        TickerPlan {
            job: job.to_owned(),
            scope,
            check_period: DEFAULT_CHECK_PERIOD,
            settings: TickerSettings::default(),
            once: false,
        }
    }

    /// Returns whether the plan is for a cluster, where PgQ may be missing in some databases.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.scope, TickerScope::Cluster { .. })
    }

    /// Names the ticker of a database.
    pub(super) fn job(&self, database: &str) -> String {
        match self.scope {
            TickerScope::Database(_) => self.job.clone(),
            TickerScope::Cluster { .. } => format!("{}/{database}", self.job),
        }
    }
}

impl TickerScope {
    /// Makes the scope of all databases of a cluster with PgQ. The catalog of `template1` lists them.
    pub fn cluster(base: &str) -> TickerScope {
        TickerScope::Cluster {
            base: base.to_owned(),
            initial: INITIAL_DATABASE.to_owned(),
            databases: Vec::new(),
        }
    }
}

/// Omits connection strings: they may contain passwords.
impl std::fmt::Debug for TickerScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TickerScope::Database(_) => f.write_str("Database"),
            TickerScope::Cluster { initial, databases, .. } => f
                .debug_struct("Cluster")
                .field("initial", initial)
                .field("databases", databases)
                .finish_non_exhaustive(),
        }
    }
}
