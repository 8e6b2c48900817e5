//! Which databases are ticked, and how.

use std::time::Duration;

use crate::ticker::TickerSettings;

/// Default of [`TickerPlan::check_period`].
pub const DEFAULT_CHECK_PERIOD: Duration = Duration::from_secs(60);
/// The database that is asked for the others.
const INITIAL_DATABASE: &str = "template1";

/// Says which databases are ticked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TickerPlan {
    /// The name in log lines and on the servers; with many databases, theirs follows after a slash.
    pub job: String,
    /// Which databases.
    pub scope: TickerScope,
    /// How often databases are looked for. Defaults to a minute ([`DEFAULT_CHECK_PERIOD`]).
    pub check_period: Duration,
    /// How each is ticked.
    pub settings: TickerSettings,
    /// Ticks and maintains each database once, instead of starting tickers. Defaults to `false`.
    pub once: bool,
}

/// Says which databases are ticked.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TickerScope {
    /// One, by its connection string.
    Database(String),
    /// Many of one cluster.
    Cluster {
        /// The connection string without a database.
        base: String,
        /// The database that is asked for the others.
        initial: String,
        /// The databases; when there are none: all that have PgQ.
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

    /// Returns whether there are many databases, of which some may be without PgQ.
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
    /// Makes the scope of all databases of a cluster that have PgQ; `template1` is asked for their names.
    pub fn cluster(base: &str) -> TickerScope {
        TickerScope::Cluster {
            base: base.to_owned(),
            initial: INITIAL_DATABASE.to_owned(),
            databases: Vec::new(),
        }
    }
}

/// Shows no connection string: it may hold a password.
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
