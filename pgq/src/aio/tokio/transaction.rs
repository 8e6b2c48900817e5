//! Transactions of `tokio-postgres` that finish a batch.

use dbscript::BoxError;
use dbscript::param::Param;
use tokio_postgres::Transaction;

use crate::aio::consume::transaction::{self, private};
use crate::consume::finish::{Answer, answer};

impl private::Sealed for Transaction<'_> {}

impl transaction::Transaction for Transaction<'_> {
    async fn execute(&mut self, statements: &str) -> Result<(), BoxError> {
        Ok(self.batch_execute(statements).await?)
    }

    async fn answers(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Vec<Answer>, BoxError> {
        Ok(self.query_typed(statement, values).await?.iter().map(answer).collect())
    }

    async fn commit(self) -> Result<(), BoxError> {
        Ok(Transaction::commit(self).await?)
    }

    async fn roll_back(self) -> Result<(), BoxError> {
        Ok(self.rollback().await?)
    }
}
