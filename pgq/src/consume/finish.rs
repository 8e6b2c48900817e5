//! The end of a batch: its tags, and the statement that finishes it.

use std::future::Future;

use dbscript::param::Param;
use dbscript::{BoxError, Session};

use crate::consume::holder::BatchHolder;
use crate::consume::read::opening::Opening;
use crate::consume::tags::Tags;
use crate::error::Error;

/// A transaction that finishes a batch, of any driver.
pub(crate) trait BatchTransaction {
    /// Runs a statement and returns its rows.
    fn answers(
        &mut self,
        statement: &str,
        values: &[Param<'_>],
    ) -> impl Future<Output = Result<Vec<Answer>, BoxError>>;

    /// Runs a statement of every batch and returns its rows.
    fn repeated_answers(
        &mut self,
        statement: &'static str,
        values: &[Param<'_>],
    ) -> impl Future<Output = Result<Vec<Answer>, BoxError>> {
        self.answers(statement, values)
    }
}

/// A row: an integer, and a text if there is a second column.
pub(crate) type Answer = (Option<i32>, Option<String>);

/// Reads a row of `postgres`.
pub(crate) fn answer(row: &postgres::Row) -> Answer {
    (row.get(0), if row.len() > 1 { row.get(1) } else { None })
}

/// The transaction of a session.
struct Own<'a, S> {
    session: &'a mut S,
    prepared: Prepared,
}

/// Whether the session has the statements that it has prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepared {
    Kept,
    /// A handler has used the session and may have deallocated them. A statement that is lost would end the
    /// transaction, with what the handler wrote.
    Uncertain,
}

impl<S: Session> BatchTransaction for Own<'_, S> {
    async fn answers(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Vec<Answer>, BoxError> {
        Ok(self.session.rows(statement, values).await?.iter().map(answer).collect())
    }

    async fn repeated_answers(
        &mut self,
        statement: &'static str,
        values: &[Param<'_>],
    ) -> Result<Vec<Answer>, BoxError> {
        match self.prepared {
            Prepared::Kept => {
                Ok(self.session.repeat(statement, values, "").await?.iter().map(answer).collect())
            }
            Prepared::Uncertain => self.answers(statement, values).await,
        }
    }
}

/// The failed step, for errors.
pub(crate) const FAILED: &str = "cannot finish the batch";

/// Lifts the role's limits and sends tags, in the transaction of the session.
pub(crate) async fn tag(
    session: &mut impl Session,
    opening: &Opening,
    holder: &BatchHolder,
    tags: &Tags,
) -> Result<(), Error> {
    let lifted = opening.limits.lift(session).await;
    lifted.map_err(|error| Error::failed("cannot tag events").caused_by(error))?;
    tags.send(&mut Own { session, prepared: Prepared::Uncertain }, holder, opening.tags_many).await
}

/// Sends tags and finishes the batch, in the transaction of the session, which commits both. Returns how many batches
/// were finished: none if the batch is another consumer's by now, and then the transaction must be rolled back.
pub(crate) async fn finish(
    session: &mut impl Session,
    opening: &Opening,
    holder: &BatchHolder,
    tags: &Tags,
    prepared: Prepared,
) -> Result<i32, Error> {
    let failed = |error: BoxError| Error::failed(FAILED).caused_by(error);
    opening.limits.lift(session).await.map_err(|error| failed(error.into()))?;
    tags.send(&mut Own { session, prepared }, holder, opening.tags_many).await?;
    holder.protect(session).await.map_err(failed)?;
    holder.finish(&mut Own { session, prepared }).await.map_err(failed)
}
