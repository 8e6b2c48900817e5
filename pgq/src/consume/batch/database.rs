//! The database through which a handler writes.

use dbscript::{ready, require_blocking_thread};
use postgres::{Client, Statement, Transaction};

use crate::consume::batch::Batch;
use crate::error::Error;

impl<'a> Batch<'a> {
    /// Returns the transaction on the queue's database in which the batch will be finished.
    ///
    /// Neither commit nor roll it back by SQL: the batch goes with it.
    ///
    /// # Errors
    ///
    /// When there is no such transaction ([`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), which ends the
    /// loop): with [`Settings::autocommit`](crate::Settings::autocommit), where [`client`](Batch::client) returns the
    /// connection instead, and for events of a [`FakeQueue`](crate::testing::FakeQueue).
    pub fn db(&mut self) -> Result<&mut Transaction<'a>, Error> {
        require_blocking()?;
        let what = "no transaction is open: the consumer runs with autocommit, or without a server; `Batch::client` \
                    returns the connection of a consumer with autocommit";
        let transaction = self.events.transaction().ok_or_else(|| Error::misconfigured(what))?;
        ready(self.savepoints.set(transaction));
        Ok(transaction)
    }

    /// Returns the connection to the queue's database when the consumer runs with
    /// [`autocommit`](crate::Settings::autocommit). The server commits at once what the handler writes there; the
    /// handler writes it again when the batch is delivered again.
    ///
    /// # Errors
    ///
    /// When there is no such connection ([`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), which ends the
    /// loop): without autocommit, where [`db`](Batch::db) returns the transaction instead, and for events of a
    /// [`FakeQueue`](crate::testing::FakeQueue).
    pub fn client(&mut self) -> Result<&mut Client, Error> {
        let what = "no connection is free: the consumer runs without autocommit, or without a server; `Batch::db` returns \
                    the transaction of a consumer without autocommit";
        self.events.client().ok_or_else(|| Error::misconfigured(what))
    }

    /// Prepares a statement in the batch's transaction, or returns the one that was prepared before: the server then
    /// parses and plans it once for each batch and not once for each event.
    ///
    /// The statement ends with the batch, so do not keep it. Until then it is used through [`db`](Batch::db):
    ///
    /// ```
    /// # use pgq::{Batch, BoxError, Event, Outcome};
    /// fn process_event(event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
    ///     let insert = batch.prepare("insert into greeting (name) values ($1)")?;
    ///     batch.db()?.execute(&insert, &[&event.data()])?;
    ///     Ok(Outcome::Done)
    /// }
    /// ```
    ///
    /// This works behind a pooler that hands out transactions, for parameters and columns of built-in types. With [`autocommit`](crate::Settings::autocommit) it does
    /// not, since each statement may then run on another connection.
    ///
    /// # Errors
    ///
    /// As [`db`](Batch::db), and when the server refuses the statement.
    pub fn prepare(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement);
        }
        let result = match self.events.client() {
            Some(client) => self.statements.prepare(client, sql),
            None => {
                // A statement that the server refuses must not end the batch's transaction.
                self.db()?;
                let transaction = self.events.transaction().ok_or_else(no_transaction)?;
                self.statements.prepare(transaction, sql)
            }
        };
        result.map_err(|error| Error::failed("cannot prepare a statement").caused_by(error))
    }
}

/// Fails within asynchronous code, which no setting of the consumer changes.
pub(super) fn require_blocking() -> Result<(), Error> {
    require_blocking_thread().map_err(|error| {
        Error::misconfigured("a batch is read and written by blocking calls").caused_by(error)
    })
}

fn no_transaction() -> Error {
    Error::misconfigured("no connection is open: the consumer runs without a server")
}
