//! Who holds up a rotation.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::lock::transaction::Transaction;
use crate::time;

/// What holds up a rotation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Holder {
    /// A consumer that is so far behind that it needs the table which would be emptied, or would need it as soon as
    /// nothing else holds the rotation up.
    Consumer {
        /// The consumer's name.
        #[serde(rename = "consumer")]
        name: String,
        /// How far it is behind.
        #[serde(serialize_with = "time::in_seconds")]
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
        #[serde(flatten)]
        transaction: Transaction,
    },
    /// Nobody: there was no tick since the last transaction from before the last rotation ended.
    Ticker,
    /// Nobody: maintenance did the first step of the last rotation, and has not done the second one yet.
    Maintenance,
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
