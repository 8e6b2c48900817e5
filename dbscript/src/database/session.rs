//! A connection as shared code uses it: blocking or asynchronous.

use std::future::Future;
use std::thread;
use std::time::Duration;

use postgres::types::Type;
use postgres::{GenericClient, Row, Statement};

use crate::control::Control;
use crate::database::param::Param;
use crate::database::statement_cache::{Prepare, StatementCache};
use crate::error::BoxError;

/// A connection or a transaction of either face. Code that both faces share is written over it, and the blocking face
/// runs that code by [`ready`](crate::ready).
///
/// Every client of `postgres` is a blocking session, whose futures are complete when they are made.
#[doc(hidden)]
pub trait Session {
    /// Runs a statement and returns its rows.
    fn rows(
        &mut self,
        statement: &str,
        values: &[Param<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, postgres::Error>>;

    /// Runs a statement that a loop repeats, and returns its rows. A session that is its connection's alone keeps such a
    /// statement prepared. If the session has lost it, `restart` runs before the statement: statements that begin
    /// the transaction again, or an empty text where no transaction is open.
    fn repeat(
        &mut self,
        statement: &'static str,
        values: &[Param<'_>],
        _restart: &str,
    ) -> impl Future<Output = Result<Vec<Row>, postgres::Error>> {
        self.rows(statement, values)
    }

    /// Runs statements separated by semicolons, without values.
    fn run(&mut self, statements: &str) -> impl Future<Output = Result<(), postgres::Error>>;

    /// Runs a statement and returns its first row, if there is one.
    fn first_row(
        &mut self,
        statement: &str,
        values: &[Param<'_>],
    ) -> impl Future<Output = Result<Option<Row>, postgres::Error>> {
        async move { Ok(self.rows(statement, values).await?.into_iter().next()) }
    }

    /// Runs a statement that always returns a row, and returns that row.
    fn one_row(
        &mut self,
        statement: &str,
        values: &[Param<'_>],
    ) -> impl Future<Output = Result<Row, BoxError>> {
        async move { self.first_row(statement, values).await?.ok_or_else(|| "the server returned no row".into()) }
    }

    /// Sleeps until the time is over or the loop of this session has something to do.
    fn pause(&mut self, time: Duration) -> impl Future<Output = ()>;

    /// Returns whether the loop of this session is stopping.
    fn is_stopping(&self) -> bool;
}

impl<C: GenericClient> Session for C {
    async fn rows(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Vec<Row>, postgres::Error> {
        self.query_typed(statement, values)
    }

    async fn run(&mut self, statements: &str) -> Result<(), postgres::Error> {
        self.batch_execute(statements)
    }

    async fn pause(&mut self, time: Duration) {
        match Control::current() {
            Some(control) => control.sleep(time),
            None => thread::sleep(time),
        }
    }

    fn is_stopping(&self) -> bool {
        Control::current().is_some_and(|control| control.is_stopping())
    }
}

/// A blocking connection or its transaction, with the connection's prepared statements.
#[doc(hidden)]
pub struct Repeating<'a, C> {
    client: &'a mut C,
    statements: StatementCache,
}

impl<'a, C: GenericClient> Repeating<'a, C> {
    /// Adds the prepared statements of the connection.
    pub fn new(client: &'a mut C, statements: &StatementCache) -> Repeating<'a, C> {
        Repeating { client, statements: statements.clone() }
    }
}

impl<C: GenericClient> Session for Repeating<'_, C> {
    async fn rows(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Vec<Row>, postgres::Error> {
        self.client.rows(statement, values).await
    }

    async fn repeat(
        &mut self,
        statement: &'static str,
        values: &[Param<'_>],
        restart: &str,
    ) -> Result<Vec<Row>, postgres::Error> {
        self.statements.clone().rows(self, statement, values, restart).await
    }

    async fn run(&mut self, statements: &str) -> Result<(), postgres::Error> {
        self.client.run(statements).await
    }

    async fn pause(&mut self, time: Duration) {
        self.client.pause(time).await;
    }

    fn is_stopping(&self) -> bool {
        self.client.is_stopping()
    }
}

impl<C: GenericClient> Prepare for Repeating<'_, C> {
    async fn prepare(&mut self, statement: &str, types: &[Type]) -> Result<Statement, postgres::Error> {
        self.client.prepare_typed(statement, types)
    }

    async fn prepared_rows(
        &mut self,
        statement: &Statement,
        values: &[Param<'_>],
    ) -> Result<Vec<Row>, postgres::Error> {
        let values: Vec<_> = values.iter().map(|(value, _)| *value).collect();
        self.client.query(statement, &values)
    }
}
