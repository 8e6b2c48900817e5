//! The end of a batch in a transaction of the caller.

use std::future::Future;

use dbscript::param::{NO_PARAMS, Param, int8};
use dbscript::{BoxError, Session, printable};

use crate::consume::finish::{Answer, BatchTransaction, FAILED};
use crate::consume::holder::{self, BatchHolder};
use crate::consume::read::limits::LIFT;
use crate::consume::read::opening::Opening;
use crate::consume::tags::Tags;
use crate::error::Error;
use crate::sql::batch::{CHECK_CALLER, LOCK_ANY};

/// A transaction in which [`Batch::commit_in`](super::Batch::commit_in) can finish a batch: one of `tokio-postgres`, and
/// with the feature `sqlx` one of `sqlx`.
pub trait Transaction: private::Sealed {
    /// Runs statements separated by semicolons, without values.
    #[doc(hidden)]
    fn execute(&mut self, statements: &str) -> impl Future<Output = Result<(), BoxError>>;

    /// Runs a statement; returns an integer of each row, and a text if there is a second column.
    #[doc(hidden)]
    fn answers(
        &mut self,
        statement: &str,
        values: &[Param<'_>],
    ) -> impl Future<Output = Result<Vec<Answer>, BoxError>>;

    /// Commits.
    #[doc(hidden)]
    fn commit(self) -> impl Future<Output = Result<(), BoxError>>;

    /// Rolls back, and waits for the answer.
    #[doc(hidden)]
    fn roll_back(self) -> impl Future<Output = Result<(), BoxError>>;
}

pub(in crate::aio) mod private {
    pub trait Sealed {}
}

/// The transaction of a caller.
struct Callers<'a, T>(&'a mut T);

impl<T: Transaction> BatchTransaction for Callers<'_, T> {
    async fn answers(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Vec<Answer>, BoxError> {
        self.0.answers(statement, values).await
    }
}

/// Returns 1 if one snapshot serves the whole transaction.
const HAS_SNAPSHOT: &str = "select (pg_catalog.current_setting('transaction_isolation'::pg_catalog.text) \
     operator(pg_catalog.<>) 'read committed'::pg_catalog.text)::pg_catalog.int4";

/// Returns whether one snapshot serves the whole transaction of a caller: `repeatable read` or `serializable`.
pub(super) async fn has_snapshot(caller: &mut impl Transaction) -> Result<bool, Error> {
    let answers = caller.answers(HAS_SNAPSHOT, NO_PARAMS).await.map_err(failed)?;
    Ok(answers.first().is_some_and(|answer| answer.0 == Some(1)))
}

/// Lifts the limits of a caller's transaction and sends tags there.
pub(super) async fn tag(
    caller: &mut impl Transaction,
    opening: &Opening,
    holder: &BatchHolder,
    tags: &Tags,
) -> Result<(), Error> {
    let lifted = caller.execute(LIFT).await;
    lifted.map_err(|error| Error::failed("cannot tag events").caused_by(error))?;
    tags.send(&mut Callers(caller), holder, opening.tags_many).await
}

/// Sends tags and finishes the batch in a caller's transaction. The session has a transaction of its own, whose locks
/// last beyond the caller's commit.
pub(super) async fn finish(
    caller: &mut impl Transaction,
    session: &mut impl Session,
    opening: &Opening,
    holder: &BatchHolder,
    tags: &Tags,
) -> Result<(), Error> {
    holder.protect(session).await.map_err(failed)?;
    check_caller(caller, session).await?;
    tag(caller, opening, holder, tags).await?;
    if holder.finish(&mut Callers(caller)).await.map_err(failed)? != 1 {
        let is_held = holder.has_batch(session).await.map_err(failed)?;
        return Err(if is_held { invisible() } else { holder::gone() });
    }
    // Without its locks another process may have taken the batch over before it was finished.
    session.run("").await.map_err(|error| failed(error.into()))
}

/// Fails if the caller's transaction is in another database, or if a schema precedes `pg_catalog` in its search path, whose
/// operators would run in place of PostgreSQL's.
///
/// The session takes a lock that only the same database shows. A copy of a database has the same names, batches and ticks.
async fn check_caller(caller: &mut impl Transaction, session: &mut impl Session) -> Result<(), Error> {
    let key: i64 = session.one_row(LOCK_ANY, NO_PARAMS).await.map_err(failed)?.get(0);
    let answers = caller.answers(CHECK_CALLER, &[int8(&key)]).await.map_err(failed)?;
    match answers.into_iter().next() {
        Some((_, Some(schema))) => Err(Error::usage(format!(
            "{FAILED}: schema `{}` comes before `pg_catalog` in the search path of the transaction; `pg_catalog` must be \
             first or left out",
            printable(&schema)
        ))),
        Some((Some(1), None)) => Ok(()),
        _ => Err(Error::usage(format!("{FAILED}: the transaction is in another database than the queue"))),
    }
}

fn failed(error: BoxError) -> Error {
    Error::failed(FAILED).caused_by(error)
}

/// Makes the error of a batch that is open, which the snapshot of the caller's transaction does not show.
fn invisible() -> Error {
    Error::usage(format!(
        "{FAILED}: the snapshot of the transaction is older than the batch; with `repeatable read` or `serializable`, \
         begin the transaction after the batch was received"
    ))
}
