//! The causes that hold up a rotation.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::lock::transaction::Transaction;
use crate::time;

/// A cause that holds up a rotation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum RotationBlocker {
    /// A consumer that needs the table which the rotation would truncate, or would need it without the other causes.
    Consumer {
        /// The consumer's name.
        #[serde(rename = "consumer")]
        name: String,
        /// The consumer's lag.
        #[serde(serialize_with = "time::in_seconds")]
        lag: Duration,
    },
    /// A transaction that began before the last rotation, so it may still insert into the previous table. On a standby
    /// the transaction has no details.
    Transaction(Transaction),
    /// A transaction, a dump or a vacuum that uses the table which the rotation would truncate.
    Lock {
        /// The table's name.
        table: String,
        /// The transaction that uses the table.
        #[serde(flatten)]
        transaction: Transaction,
    },
    /// The ticker: it has made no tick since the end of the last transaction that began before the last rotation.
    Ticker,
    /// Maintenance: it has done the first step of the last rotation, and not yet the second.
    Maintenance,
}

impl fmt::Display for RotationBlocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RotationBlocker::Consumer { name, lag } => {
                write!(f, "consumer `{name}`, {}s behind", lag.as_secs())
            }
            RotationBlocker::Transaction(transaction) => transaction.fmt(f),
            RotationBlocker::Lock { table, transaction } => {
                write!(f, "{transaction}, which uses table {table}")
            }
            RotationBlocker::Ticker => f.write_str("the ticker, which has made no recent tick"),
            RotationBlocker::Maintenance => {
                f.write_str("maintenance, which has not finished the last rotation")
            }
        }
    }
}
