//! A connection while a round uses it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use postgres::types::{ToSql, Type};
use postgres::{Client, Row};
use r2d2::PooledConnection;

use crate::database::pool::ConnectionManager;
use crate::database::session::Repeating;
use crate::database::statement_cache::StatementCache;
use crate::error::Error;

/// The length of a statement in messages, in characters.
const SHOWN: usize = 200;

/// A connection of [`Databases`](crate::Databases), returned when dropped. Dereferences to [`Client`].
///
/// The methods here are those of the client with errors that name the database and the statement. They leave no
/// prepared statement behind, so they work behind a pooler.
pub struct Connection {
    pooled: PooledConnection<ConnectionManager>,
    /// The label of the database in messages.
    label: Arc<str>,
}

/// Values of a statement, each with its type.
type Values<'a> = [(&'a (dyn ToSql + Sync), Type)];

impl Connection {
    pub(crate) fn new(pooled: PooledConnection<ConnectionManager>, label: Arc<str>) -> Connection {
        Connection { pooled, label }
    }

    /// Runs a statement and returns how many rows it affected.
    ///
    /// # Errors
    ///
    /// The error of the server, with the database and the statement.
    pub fn execute_typed(&mut self, statement: &str, values: &Values<'_>) -> Result<u64, Error> {
        let result = self.pooled.client.execute_typed(statement, values);
        result.map_err(|error| self.failed(statement, error))
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// Fails as [`execute_typed`](Connection::execute_typed) does.
    pub fn query_typed(&mut self, statement: &str, values: &Values<'_>) -> Result<Vec<Row>, Error> {
        let result = self.pooled.client.query_typed(statement, values);
        result.map_err(|error| self.failed(statement, error))
    }

    /// Runs a statement and returns its only row.
    ///
    /// # Errors
    ///
    /// Fails as [`execute_typed`](Connection::execute_typed) does, and if there is no row or more than one.
    pub fn query_typed_one(&mut self, statement: &str, values: &Values<'_>) -> Result<Row, Error> {
        let result = self.pooled.client.query_typed_one(statement, values);
        result.map_err(|error| self.failed(statement, error))
    }

    /// Runs a statement and returns its row, if there is one.
    ///
    /// # Errors
    ///
    /// Fails as [`execute_typed`](Connection::execute_typed) does, and if there is more than one row.
    pub fn query_typed_opt(&mut self, statement: &str, values: &Values<'_>) -> Result<Option<Row>, Error> {
        let result = self.pooled.client.query_typed_opt(statement, values);
        result.map_err(|error| self.failed(statement, error))
    }

    /// Runs statements separated by semicolons, without values.
    ///
    /// # Errors
    ///
    /// Fails as [`execute_typed`](Connection::execute_typed) does.
    pub fn batch_execute(&mut self, statements: &str) -> Result<(), Error> {
        let result = self.pooled.client.batch_execute(statements);
        result.map_err(|error| self.failed(statements, error))
    }

    /// Returns the prepared statements of the connection.
    #[doc(hidden)]
    pub fn statements(&self) -> StatementCache {
        self.pooled.statements.clone()
    }

    /// Returns the connection as a session that keeps statements of a loop prepared.
    #[doc(hidden)]
    pub fn repeating(&mut self) -> Repeating<'_, Client> {
        let statements = self.statements();
        Repeating::new(&mut self.pooled.client, &statements)
    }

    /// Returns the name of a statement of a loop for `execute`, if the session keeps it prepared. `key` identifies the
    /// statement, `types` are those of its parameters in SQL, `text` makes it.
    #[doc(hidden)]
    pub fn named(
        &mut self,
        key: &'static str,
        types: &str,
        text: impl FnOnce() -> String,
    ) -> Result<Option<String>, postgres::Error> {
        let statements = self.statements();
        statements.named(&mut self.pooled.client, key, types, text)
    }

    /// Checks that the server responds, while no statement runs; over TCP within five seconds.
    ///
    /// # Errors
    ///
    /// Fails if the server does not respond or the connection is broken. The connection is closed then.
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

/// Returns a statement for a message: on one line and shortened, or a placeholder if it may contain a password.
fn shown(statement: &str) -> String {
    if statement.to_lowercase().contains("password") {
        return "a statement that is omitted because it mentions a password".to_owned();
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
