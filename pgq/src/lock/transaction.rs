//! Transactions that delay maintenance.

use std::fmt;
use std::time::Duration;

use dbscript::param::text_array;
use postgres::{GenericClient, Row};
use serde::Serialize;

use crate::error::Error;
use crate::names::Name;
use crate::sql::status as sql;
use crate::time::{self, seconds};

/// A transaction of any database of the cluster. What this role may not see is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    /// The time since it began or was prepared.
    #[serde(serialize_with = "time::in_seconds_opt")]
    pub age: Option<Duration>,
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

/// Returns the transactions that use tables, each once.
pub(crate) fn users_of_tables(
    client: &mut impl GenericClient,
    tables: &[String],
) -> Result<Vec<Transaction>, Error> {
    let values = [text_array(&tables)];
    let failed = |error| Error::failed("cannot find the transactions that use the tables").caused_by(error);
    let rows = client.query_typed(sql::TABLE_LOCKS, &values).map_err(failed)?;
    let mut users: Vec<Transaction> = Vec::new();
    for user in rows.iter().map(transaction) {
        if !users.iter().any(|known| (known.pid, &known.prepared) == (user.pid, &user.prepared)) {
            users.push(user);
        }
    }
    Ok(users)
}

pub(crate) fn transaction(row: &Row) -> Transaction {
    let name = |column: &str| row.get::<_, Option<Name>>(column).map(|name| name.0);
    Transaction {
        pid: row.get("pid"),
        prepared: name("gid"),
        user: name("user_name"),
        application: name("application"),
        database: name("database"),
        state: row.get("state"),
        age: row.get::<_, Option<f64>>("age").map(seconds),
    }
}
