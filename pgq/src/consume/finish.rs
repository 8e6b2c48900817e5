//! The end of a batch: its tags, and the statement that finishes it.

use dbscript::Session;

use crate::consume::holder::BatchHolder;
use crate::consume::read::opening::Opening;
use crate::consume::tags::Tags;
use crate::error::Error;

/// Lifts the role's limits and sends tags, in the transaction of the session.
pub(crate) async fn tag(
    session: &mut impl Session,
    opening: &Opening,
    holder: &BatchHolder,
    tags: &Tags,
) -> Result<(), Error> {
    let lifted = opening.limits.lift(session).await;
    lifted.map_err(|error| Error::failed("cannot tag events").caused_by(error))?;
    tags.send(session, holder, opening.tags_many).await
}

/// Sends tags and finishes the batch, in the transaction of the session, which commits both. Returns how many batches
/// were finished: none if the batch is another consumer's by now, and then the transaction must be rolled back.
pub(crate) async fn finish(
    session: &mut impl Session,
    opening: &Opening,
    holder: &BatchHolder,
    tags: &Tags,
) -> Result<i32, Error> {
    const FAILED: &str = "cannot finish the batch";
    let lifted = opening.limits.lift(session).await;
    lifted.map_err(|error| Error::failed(FAILED).caused_by(error))?;
    tags.send(session, holder, opening.tags_many).await?;
    holder.finish(session).await.map_err(|error| Error::failed(FAILED).caused_by(error))
}
