//! A connection as shared code uses it: blocking or asynchronous.

use std::future::Future;
use std::thread;
use std::time::Duration;

use postgres::{GenericClient, Row};

use crate::control::Control;
use crate::database::param::Param;
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
