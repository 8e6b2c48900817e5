//! The oldest snapshots, which keep dead row versions.

use std::fmt;
use std::time::Duration;

use dbscript::param::NO_PARAMS;
use postgres::{GenericClient, Row};
use serde::Serialize;

use super::query::query;
use crate::error::Error;
use crate::lock::transaction::{Transaction, transaction};
use crate::names::Name;
use crate::sql::status::OLD_SNAPSHOTS;
use crate::time::{self, seconds};

/// The age from which on the text of a status contains a snapshot.
const NOTABLE: Duration = Duration::from_mins(1);

/// Something whose snapshot keeps row versions in this database that were deleted since: `vacuum` cannot remove them, and
/// queries of the whole database become slower.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum OldSnapshot {
    /// A transaction of a session, or a prepared one.
    Transaction(Transaction),
    /// A replication slot.
    Slot {
        /// The slot's name.
        name: String,
        /// Whether a standby or a subscriber uses the slot now.
        active: bool,
        /// The age of the oldest tick that is later than the snapshot, as the server has no time for it.
        #[serde(serialize_with = "time::in_seconds_opt")]
        age: Option<Duration>,
    },
    /// A standby with `hot_standby_feedback`, whose queries hold the snapshot.
    Standby {
        /// The name with which the standby connects.
        name: Option<String>,
        /// The process that sends to the standby.
        pid: i32,
        /// As that of a slot.
        #[serde(serialize_with = "time::in_seconds_opt")]
        age: Option<Duration>,
    },
}

impl OldSnapshot {
    /// Returns the age; `None` for a slot or a standby without a later tick.
    pub fn age(&self) -> Option<Duration> {
        match self {
            OldSnapshot::Transaction(transaction) => transaction.age,
            OldSnapshot::Slot { age, .. } | OldSnapshot::Standby { age, .. } => *age,
        }
    }

    /// Returns whether the snapshot is at least a minute old. The text of a status omits younger ones.
    pub fn is_notable(&self) -> bool {
        self.age() >= Some(NOTABLE)
    }

    fn from_row(row: &Row) -> OldSnapshot {
        let name = row.get::<_, Option<Name>>("name").map(|name| name.0);
        let age = row.get::<_, Option<f64>>("age").map(seconds);
        match (row.get("kind"), row.get("pid"), name) {
            ("slot", pid, Some(name)) => {
                OldSnapshot::Slot { name, active: pid.is_some_and(|_: i32| true), age }
            }
            ("standby", Some(pid), name) => OldSnapshot::Standby { name, pid, age },
            _ => OldSnapshot::Transaction(transaction(row)),
        }
    }
}

impl fmt::Display for OldSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = |age: &Option<Duration>| {
            age.map_or(String::new(), |age| format!(", at least {}s old", age.as_secs()))
        };
        match self {
            OldSnapshot::Transaction(transaction) => transaction.fmt(f),
            OldSnapshot::Slot { name, active, age: time } => {
                let state = if *active { "active" } else { "inactive" };
                write!(f, "replication slot `{name}` ({state}{})", age(time))
            }
            OldSnapshot::Standby { name, pid, age: time } => {
                f.write_str("standby")?;
                if let Some(name) = name {
                    write!(f, " `{name}`")?;
                }
                write!(f, " (feedback by process {pid}{})", age(time))
            }
        }
    }
}

/// Reads the snapshots of this database, the oldest first. On a standby there are none.
pub(super) fn read(client: &mut impl GenericClient) -> Result<Vec<OldSnapshot>, Error> {
    Ok(query(client, OLD_SNAPSHOTS, NO_PARAMS)?.iter().map(OldSnapshot::from_row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_what_holds_the_snapshot() {
        let age = Some(Duration::from_secs(90));
        let holder =
            Transaction { pid: Some(7), user: Some("joe".to_owned()), age, ..Transaction::default() };
        for (snapshot, expected) in [
            (OldSnapshot::Transaction(holder), "transaction of process 7 (user `joe`, 90s old)"),
            (
                OldSnapshot::Slot { name: "s".to_owned(), active: false, age },
                "replication slot `s` (inactive, at least 90s old)",
            ),
            (
                OldSnapshot::Standby { name: Some("b".to_owned()), pid: 8, age: None },
                "standby `b` (feedback by process 8)",
            ),
        ] {
            assert_eq!(snapshot.to_string(), expected);
        }
    }
}
