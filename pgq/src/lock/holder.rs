//! The sessions that hold a lock.

use std::fmt;
use std::time::Duration;

use dbscript::printable;
use postgres::Row;
use serde::Serialize;

use crate::names::Name;
use crate::time;

/// A session or a prepared transaction that holds an advisory lock. What this role may not see is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LockHolder {
    /// The process of the session; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// The name under which the transaction was prepared.
    pub prepared: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The application's name.
    pub application: Option<String>,
    /// The client's address, or `local`.
    pub host: Option<String>,
    /// The age of the session's transaction, or the time since its last statement.
    #[serde(serialize_with = "time::in_seconds_opt")]
    pub age: Option<Duration>,
    /// Whether its role may do what the lock protects. Any role that can connect can take any advisory lock.
    #[serde(skip)]
    pub is_entitled: bool,
}

impl LockHolder {
    pub(super) fn read(row: &Row) -> LockHolder {
        let name = |column: &str| row.get::<_, Option<Name>>(column).map(|name| name.0);
        LockHolder {
            pid: row.get("pid"),
            prepared: name("gid"),
            user: name("user_name"),
            application: name("application"),
            host: row.get("host"),
            age: row
                .get::<_, Option<f64>>("age")
                .map(|age| Duration::try_from_secs_f64(age).unwrap_or_default()),
            is_entitled: row.get("may"),
        }
    }

    /// Returns the statement that ends the session or the prepared transaction.
    fn remedy(&self) -> Option<String> {
        match (&self.prepared, self.pid) {
            (Some(name), _) => Some(format!("`rollback prepared '{}'`", printable(name).replace('\'', "''"))),
            (None, Some(pid)) => Some(format!("`select pg_terminate_backend({pid})`")),
            (None, None) => None,
        }
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.prepared, self.pid) {
            (Some(name), _) => write!(f, "prepared transaction `{}`", printable(name))?,
            (None, Some(pid)) => write!(f, "process {pid}")?,
            (None, None) => f.write_str("a session")?,
        }
        let quoted = |what: &str, name: &Option<String>| {
            name.as_ref().map(|name| format!("{what} `{}`", printable(name)))
        };
        let facts = [
            quoted("user", &self.user),
            quoted("application", &self.application),
            quoted("host", &self.host),
            self.age.map(|age| format!("for {}s", age.as_secs())),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        if facts.is_empty() { Ok(()) } else { write!(f, " ({})", facts.join(", ")) }
    }
}

/// Says which sessions hold a lock and how to end the first; `what` names the lock.
pub(crate) fn held_by(what: &str, holders: &[LockHolder]) -> String {
    let Some(first) = holders.first() else { return format!("{what} is held by another session") };
    let names: Vec<String> = holders.iter().take(3).map(ToString::to_string).collect();
    let more = holders.len().saturating_sub(3);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let remedy = first.remedy().map(|remedy| format!("; run {remedy} to end it")).unwrap_or_default();
    format!("{what} is held by {}{more}{remedy}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_named_with_the_statement_that_ends_it() {
        let name = |text: &str| Some(text.to_owned());
        let ordinary = LockHolder { pid: Some(4711), user: name("u"), ..LockHolder::default() };
        assert_eq!(
            held_by("the lock", std::slice::from_ref(&ordinary)),
            "the lock is held by process 4711 (user `u`); run `select pg_terminate_backend(4711)` to end it"
        );
        let seen = LockHolder {
            application: name("psql"),
            host: name("10.0.0.7"),
            age: Some(Duration::from_secs(12)),
            ..ordinary
        };
        assert_eq!(seen.to_string(), "process 4711 (user `u`, application `psql`, host `10.0.0.7`, for 12s)");
        let prepared = LockHolder { prepared: name("x\u{1b}'"), ..LockHolder::default() };
        assert_eq!(
            held_by("it", &[prepared]),
            r"it is held by prepared transaction `x\u{1b}'`; run `rollback prepared 'x\u{1b}'''` to end it"
        );
        assert_eq!(held_by("it", &[]), "it is held by another session");
    }
}
