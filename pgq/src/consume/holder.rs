//! Whose a batch is. The server's functions take a batch's id alone, which after a crash may be another consumer's, or
//! that of another batch.

use crate::sql::batch::{hidden_events, holder};

use crate::consume::finish::BatchTransaction;
use crate::consume::run::subscription::Subscription;
use crate::consume::settings::Settings;
use crate::error::{At, Error};
use crate::event::batch_info::BatchInfo;
use crate::lock::Lock;
use crate::schema::row_security;
use crate::sql;
use dbscript::param::{Param, int8, text};
use dbscript::{BoxError, Session};

/// The consumer of batches that no server has.
pub(crate) const TEST_CONSUMER: &str = "test";

/// The consumer that a batch was opened for, and the batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchHolder {
    queue: String,
    consumer: String,
    /// The consumer's name, with the subconsumer's if it is one.
    name: String,
    is_member: bool,
    /// Whether the batch may also be another subconsumer's meanwhile.
    is_team: bool,
    batch: i64,
    prev_tick: i64,
    tick: i64,
}

/// Makes the statement that finishes a batch, unless row security hides events by now.
macro_rules! finish {
    ($function:literal, $holder:expr) => {
        concat!(
            "select case when hidden is null then ",
            $function,
            "(sub_batch) end, hidden from (select sub_batch, ",
            hidden_events!(),
            " as hidden from ",
            $holder,
            " offset 0) held"
        )
    };
}

/// $1 to $5 as in [`HAS_BATCH`]. How many batches were finished, and which tables row security hides; then none was. No
/// row: the batch is not this consumer's.
const FINISH_BATCH: &str = finish!("pgq.finish_batch", holder!());

/// As [`FINISH_BATCH`], for subconsumers.
const FINISH_COOP_BATCH: &str = finish!("pgq_coop.finish_batch", holder!());

/// As [`FINISH_COOP_BATCH`], whichever subconsumer of consumer $3 has the batch.
const FINISH_TEAM_BATCH: &str = finish!(
    "pgq_coop.finish_batch",
    holder!("(co_name = $3 or pg_catalog.starts_with(co_name, pg_catalog.concat($3, '.')))")
);

impl BatchHolder {
    pub(crate) fn new(subscription: &Subscription, info: &BatchInfo) -> BatchHolder {
        let settings = subscription.settings();
        BatchHolder {
            queue: settings.queue.clone(),
            consumer: settings.consumer.clone(),
            name: subscription.lock_name(),
            is_member: settings.subconsumer.is_some(),
            is_team: false,
            batch: info.id,
            prev_tick: info.prev_tick,
            tick: info.tick,
        }
    }

    /// Makes the holder of a batch that no server has.
    pub(crate) fn of_test(queue: &str, info: &BatchInfo) -> BatchHolder {
        BatchHolder::new(&Subscription::new(Settings::new(queue, TEST_CONSUMER)), info)
    }

    /// Lets any subconsumer of the consumer have the batch.
    pub(crate) fn or_team(mut self) -> BatchHolder {
        self.is_team = self.is_member;
        self
    }

    /// Returns queue, consumer and batch, for errors.
    pub(crate) fn at(&self) -> At<'_> {
        At::queue(&self.queue).consumer(&self.name).batch(self.batch)
    }

    /// Returns $1 to $5 of the statements that name a batch's holder.
    pub(crate) fn values(&self) -> [Param<'_>; 5] {
        let name = if self.is_team { &self.consumer } else { &self.name };
        [int8(&self.batch), text(&self.queue), text(name), int8(&self.prev_tick), int8(&self.tick)]
    }

    /// Returns $1 to $3 of [`sql::batch::IS_OPEN`] for another batch of the consumer or its subconsumers, and of
    /// [`sql::batch::IS_BEGUN`] for a tick.
    pub(crate) fn other<'a>(&'a self, batch: &'a i64) -> [Param<'a>; 3] {
        [int8(batch), text(&self.queue), text(&self.consumer)]
    }

    /// Returns whether the batch is still open, and this consumer's.
    pub(crate) async fn has_batch(&self, session: &mut impl Session) -> Result<bool, BoxError> {
        session.one_row(sql::batch::HAS_BATCH, &self.values()).await.map(|row| row.get(0))
    }

    /// Keeps other subconsumers from taking the batch over until the end of the transaction, because the server would also
    /// finish another subconsumer's batch.
    pub(crate) async fn protect(&self, session: &mut impl Session) -> Result<(), BoxError> {
        if self.is_member && !self.is_team {
            let values = [text(&self.queue), text(&self.consumer)];
            let name = format!("the lock of batches of consumer `{}`", self.consumer);
            Lock::new(&name, sql::lock::FINISH, &values).shared().acquire(session).await?;
        }
        Ok(())
    }

    /// Finishes the batch, which is [protected](BatchHolder::protect); returns how many were finished, which is none if it
    /// is somebody else's.
    pub(crate) async fn finish(&self, transaction: &mut impl BatchTransaction) -> Result<i32, BoxError> {
        let statement = match (self.is_member, self.is_team) {
            (false, _) => FINISH_BATCH,
            (true, false) => FINISH_COOP_BATCH,
            (true, true) => FINISH_TEAM_BATCH,
        };
        let answers = transaction.repeated_answers(statement, &self.values()).await?;
        let Some((finished, hidden)) = answers.into_iter().next() else { return Ok(0) };
        row_security::require_visible(hidden.as_deref())?;
        Ok(finished.unwrap_or_default())
    }
}

/// Makes the error of a batch that is not this consumer's any more.
pub(crate) fn gone() -> Error {
    Error::failed("the batch was finished, moved or taken over by somebody else")
}
