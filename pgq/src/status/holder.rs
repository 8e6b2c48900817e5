//! Who holds up a rotation.

use std::fmt;
use std::time::Duration;

/// What holds up a rotation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Holder {
    /// A consumer that is so far behind that it needs the table which would be emptied, or would need it as soon as
    /// nothing else holds the rotation up.
    Consumer {
        /// The consumer's name.
        name: String,
        /// How far it is behind.
        lag: Duration,
    },
    /// A transaction that has run since before the last rotation, so that it may have events for the table
    /// before. On a standby nothing is known of it but that there is one.
    Transaction(Transaction),
    /// A transaction that uses the table which would be emptied, or a dump or a vacuum of it.
    Lock {
        /// The table's name.
        table: String,
        /// Who uses it.
        transaction: Transaction,
    },
    /// Nobody: there was no tick since the last transaction from before the last rotation ended.
    Ticker,
    /// Nobody: maintenance did the first step of the last rotation, and has not done the second one yet.
    Maintenance,
}

/// A transaction of any database of the cluster, as far as it may be seen.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Transaction {
    /// The process of its session; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// The name under which it was prepared.
    pub prepared: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The application's name, or for a process of the server its kind.
    pub application: Option<String>,
    /// The database.
    pub database: Option<String>,
    /// The session's state, such as `idle in transaction`.
    pub state: Option<String>,
    /// How long ago it began or was prepared.
    pub age: Option<Duration>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Consumer { name, lag } => write!(f, "consumer `{name}`, {}s behind", lag.as_secs()),
            Holder::Transaction(transaction) => transaction.fmt(f),
            Holder::Lock { table, transaction } => write!(f, "{transaction}, which uses table {table}"),
            Holder::Ticker => f.write_str("the ticker, since there was no tick lately"),
            Holder::Maintenance => f.write_str("maintenance, which has not finished the last rotation"),
        }
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.prepared, self.pid) {
            (Some(name), _) => write!(f, "prepared transaction `{name}`")?,
            (None, Some(pid)) => write!(f, "transaction of process {pid}")?,
            (None, None) => f.write_str("a transaction")?,
        }
        let quoted = |what: &str, name: &Option<String>| name.as_ref().map(|name| format!("{what} `{name}`"));
        let facts = [
            quoted("application", &self.application),
            quoted("user", &self.user),
            quoted("database", &self.database),
            self.state.clone(),
            self.age.map(|age| format!("{}s old", age.as_secs())),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        if facts.is_empty() { Ok(()) } else { write!(f, " ({})", facts.join(", ")) }
    }
}
