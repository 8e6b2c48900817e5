//! A connection while a round uses it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use postgres::types::{ToSql, Type};
use postgres::{Client, Row};
use r2d2::PooledConnection;

use crate::database::pool::Manager;
use crate::error::Error;

/// Longer statements are cut in messages.
const SHOWN: usize = 200;

/// A connection out of [`Databases`](crate::Databases), returned when dropped. Dereferences to [`Client`].
///
/// The methods here are those of the client, but their errors name the database and the statement. None of
/// them leaves a prepared statement behind, so they work behind a pooler.
pub struct Connection {
    pooled: PooledConnection<Manager>,
    /// What the database is called in messages.
    label: Arc<str>,
}

/// Values of a statement, each with its type.
type Values<'a> = [(&'a (dyn ToSql + Sync), Type)];

impl Connection {
    pub(crate) fn new(pooled: PooledConnection<Manager>, label: Arc<str>) -> Connection {
        Connection { pooled, label }
    }

    /// Runs a statement and returns how many rows it affected.
    ///
    /// # Errors
    ///
    /// What the server said, with the statement and where that was.
    pub fn execute_typed(&mut self, statement: &str, values: &Values<'_>) -> Result<u64, Error> {
        let result = self.pooled.client.execute_typed(statement, values);
        result.map_err(|error| self.failed(statement, error))
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// As [`execute_typed`](Connection::execute_typed).
    pub fn query_typed(&mut self, statement: &str, values: &Values<'_>) -> Result<Vec<Row>, Error> {
        let result = self.pooled.client.query_typed(statement, values);
        result.map_err(|error| self.failed(statement, error))
    }

    /// Runs a statement and returns its only row.
    ///
    /// # Errors
    ///
    /// As [`execute_typed`](Connection::execute_typed), and when there is no row or more than one.
    pub fn query_typed_one(&mut self, statement: &str, values: &Values<'_>) -> Result<Row, Error> {
        let result = self.pooled.client.query_typed_one(statement, values);
        result.map_err(|error| self.failed(statement, error))
    }

    /// Runs a statement and returns its row, if there is one.
    ///
    /// # Errors
    ///
    /// As [`execute_typed`](Connection::execute_typed), and when there is more than one row.
    pub fn query_typed_opt(&mut self, statement: &str, values: &Values<'_>) -> Result<Option<Row>, Error> {
        let result = self.pooled.client.query_typed_opt(statement, values);
        result.map_err(|error| self.failed(statement, error))
    }

    /// Runs statements separated by semicolons, without values.
    ///
    /// # Errors
    ///
    /// As [`execute_typed`](Connection::execute_typed).
    pub fn batch_execute(&mut self, statements: &str) -> Result<(), Error> {
        let result = self.pooled.client.batch_execute(statements);
        result.map_err(|error| self.failed(statements, error))
    }

    /// Waits for a sign of life of a server that has nothing else to do for this connection; over TCP for five seconds
    /// at most.
    ///
    /// # Errors
    ///
    /// When there is none, or the connection is lost. It is not used again then.
    pub fn check(&mut self) -> Result<(), Error> {
        let answer = self.pooled.check();
        answer.map_err(|error| Error::failed(self.label.to_string()).caused_by(error))
    }

    fn failed(&self, statement: &str, error: postgres::Error) -> Error {
        Error::failed(format!("{}: {}", self.label, shown(statement))).caused_by(error)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.label).finish()
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.pooled.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.pooled.client
    }
}

/// Returns a statement as messages show it: on one line, cut, and not at all if it may hold a secret.
fn shown(statement: &str) -> String {
    if statement.to_lowercase().contains("password") {
        return "a statement that is not shown, since it mentions a password".to_owned();
    }
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{} …`", &line[..end]),
        None => format!("`{line}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_shown_short_and_without_secrets() {
        assert_eq!(shown(" select\n\t1"), "`select 1`");
        let long = shown(&"ü".repeat(1000));
        assert_eq!(long.chars().count(), SHOWN + 4);
        assert!(!shown("alter role x PASSWORD 's3cret'").contains("s3cret"));
    }
}
