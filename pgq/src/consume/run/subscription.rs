//! A consumer's place in a queue, and the batch that comes next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

#[cfg(feature = "tokio")]
use chrono::{DateTime, Utc};
use dbscript::param::{boolean, float8, int4, text};
use dbscript::{BoxError, Session, ready};
use postgres::error::SqlState;
use postgres::{Client, GenericClient, Row};

use crate::admin::{registration, ticks, unregistration};
use crate::consume::settings::Settings;
use crate::error::{At, Error};
use crate::event::batch_info::BatchInfo;
use crate::event::checkpoint::Checkpoint;
use crate::lock::{self, Attempts, Lock, Waiting};
use crate::schema::row_security;
use crate::sql;
use crate::sql::next_batch::{self, NextBatch as Statements};
use crate::time::Time;

/// A consumer's registration on a queue; a subconsumer's, when the settings name one.
#[derive(Clone, Debug)]
pub struct Subscription {
    settings: Settings,
    /// Whether the consumer's lock is held for as long as the consumer runs.
    holds_lock: bool,
    server: Arc<ServerFacts>,
}

/// What the server has shown about the queue.
#[derive(Debug, Default)]
struct ServerFacts {
    /// Whether the schema has the function that describes the ticks after a position: [`UNKNOWN`], [`ABSENT`] or
    /// [`PRESENT`].
    ticks_function: AtomicU8,
    /// Whether the next ticks cannot be merged, since one of them is at `infinity`.
    has_endless_tick: AtomicBool,
}

const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const PRESENT: u8 = 2;

/// A batch that was opened.
pub(crate) struct NextBatch {
    pub(crate) info: BatchInfo,
    /// When it was opened, by the server's clock.
    #[cfg(feature = "tokio")]
    pub(crate) opened_at: DateTime<Utc>,
}

impl Subscription {
    /// Makes a subscription out of settings; nothing is asked of the server yet.
    pub fn new(settings: Settings) -> Subscription {
        Subscription { settings, holds_lock: false, server: Arc::default() }
    }

    /// Leaves it to the caller to hold the consumer's lock.
    pub(crate) fn holding_lock(mut self) -> Subscription {
        self.holds_lock = true;
        self
    }

    /// Returns queue and consumer, for errors.
    pub(crate) fn at(&self) -> At<'_> {
        At::queue(&self.settings.queue).consumer(&self.settings.consumer)
    }

    pub(crate) fn holds_lock(&self) -> bool {
        self.holds_lock
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns whether the consumer is registered.
    ///
    /// # Errors
    ///
    /// As [`register`](Subscription::register).
    pub fn is_registered(&self, client: &mut impl GenericClient) -> Result<bool, Error> {
        registration::is_registered(client, &self.settings.queue, &self.lock_name())
    }

    /// Registers the consumer; returns `false` when it was registered already.
    ///
    /// # Errors
    ///
    /// As [`register_consumer`](crate::admin::register_consumer).
    pub fn register(&self, client: &mut impl GenericClient) -> Result<bool, Error> {
        let Settings { queue, consumer, subconsumer, .. } = &self.settings;
        match subconsumer {
            None => registration::register_consumer(client, queue, consumer),
            Some(own) => registration::register_subconsumer(client, queue, consumer, own),
        }
    }

    /// Registers the consumer as [`register`](Subscription::register) does. If the consumer itself, and not only a
    /// subconsumer, is new, calls `forget` before the registration is committed, to remove the record of an earlier one.
    ///
    /// # Errors
    ///
    /// As [`register`](Subscription::register), and those of `forget`.
    #[doc(hidden)]
    pub fn register_with(
        &self,
        client: &mut Client,
        forget: impl FnOnce() -> Result<(), BoxError>,
    ) -> Result<bool, BoxError> {
        let Settings { queue, consumer, subconsumer, .. } = &self.settings;
        let failed = |error| self.at().failed("cannot register", error);
        let mut transaction = client.transaction().map_err(failed)?;
        // Concurrent registrations take turns here.
        let is_consumer_new = registration::register_consumer(&mut transaction, queue, consumer)?;
        let is_new = match subconsumer {
            None => is_consumer_new,
            Some(own) => registration::register_subconsumer(&mut transaction, queue, consumer, own)?,
        };
        if is_consumer_new {
            forget()?;
        }
        transaction.commit().map_err(failed)?;
        Ok(is_new)
    }

    /// Removes the consumer; returns `false` when it was not registered.
    ///
    /// # Errors
    ///
    /// As [`unregister_consumer`](crate::admin::unregister_consumer).
    pub fn unregister(&self, client: &mut impl GenericClient) -> Result<bool, Error> {
        let Settings { queue, consumer, subconsumer, .. } = &self.settings;
        match subconsumer {
            None => unregistration::unregister_consumer(client, queue, consumer),
            Some(own) => unregistration::unregister_subconsumer(client, queue, consumer, own),
        }
    }

    /// Registers the consumer at a tick, or moves it there.
    pub(crate) fn move_to(&self, client: &mut impl GenericClient, at: &Checkpoint) -> Result<(), Error> {
        let Settings { queue, consumer, .. } = &self.settings;
        if ticks::tick_time(client, queue, at.tick)?.is_none() {
            let what = format!(
                "consumer `{consumer}` has come to tick {}, which is not on the queue; --reset forgets it and goes on \
                 where the queue stands",
                at.tick
            );
            return Err(Error::missing(what).on_queue(queue));
        }
        registration::register_consumer_at_checkpoint(client, queue, consumer, at).map(|_| ())
    }

    /// Takes the consumer's lock until the end of the transaction, unless it is held already.
    ///
    /// # Errors
    ///
    /// When another process has it ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), and when the server fails.
    pub(crate) fn lock(&self, client: &mut impl GenericClient) -> Result<(), Error> {
        if self.holds_lock {
            Ok(())
        } else {
            ready(lock::take(client, &self.settings.queue, &self.lock_name()))
        }
    }

    /// Opens the next batch, or returns the one that is open; `None` when there is none yet.
    ///
    /// Must run in a transaction of its own (or none), committed before the batch is processed: whoever
    /// tracks batches elsewhere relies on getting the same batch again after a crash. PgQ:
    /// `pgq.next_batch_custom`.
    ///
    /// # Errors
    ///
    /// When the consumer is not registered, when another process is consuming under its name
    /// ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), and when the server fails.
    pub fn next_batch(&self, client: &mut impl GenericClient) -> Result<Option<BatchInfo>, Error> {
        Ok(ready(self.open_next(client, false))?.map(|next| next.info))
    }

    /// As [`next_batch`](Subscription::next_batch); `defers_flush` leaves the flush to disk to a later commit, so
    /// that after a crash of the server another batch may begin at the same tick.
    pub(crate) async fn open_next(
        &self,
        session: &mut impl Session,
        defers_flush: bool,
    ) -> Result<Option<NextBatch>, Error> {
        let Settings { queue, consumer, .. } = &self.settings;
        let mut waiting = Waiting::default();
        loop {
            if let Some(row) = self.open_unlocked(session, defers_flush).await? {
                row_security::require_visible(row.get(6)).map_err(|error| error.on_queue(queue))?;
                return next_batch(&row).map_err(|error| {
                    let what = "cannot read the next batch, whose ticks are missing or no ticks";
                    At::queue(queue).failed(what, error)
                });
            }
            let holders = lock::consumer_holders(session, queue, &self.lock_name()).await?;
            if !holders.is_empty() || self.settings.subconsumer.is_none() {
                return Err(lock::busy(&holders, consumer).on_queue(queue));
            }
            // Others are about to finish batches, or somebody only has their lock.
            let values = [text(queue), text(consumer)];
            let name = format!("the lock of batches of consumer `{consumer}`");
            let lock = Lock::new(&name, sql::lock::FINISH, &values);
            while !waiting.try_again(session, &lock).await? {}
        }
    }

    /// Opens a batch while no other process has the consumer's lock; returns no row if one has it for long.
    async fn open_unlocked(
        &self,
        session: &mut impl Session,
        defers_flush: bool,
    ) -> Result<Option<Row>, Error> {
        let mut attempts = Attempts::default();
        loop {
            let row = self.try_next_batch(session, defers_flush).await;
            let row = row.map_err(|error| self.not_opened(error).on_queue(&self.settings.queue))?;
            if row.is_some() || !attempts.go_on(session).await {
                return Ok(row);
            }
        }
    }

    /// Makes the error of a batch that cannot be opened. `pgq_coop` would register a consumer that is not registered
    /// any more, at a position that nobody has asked for, so it gets no name then, and refuses that.
    fn not_opened(&self, error: postgres::Error) -> Error {
        let consumer = &self.settings.consumer;
        let has_no_name = error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE);
        if has_no_name && self.settings.subconsumer.is_some() {
            let what = format!("consumer `{consumer}` is not registered; to be registered anew, start again");
            return Error::missing(what);
        }
        let what = format!("cannot open the next batch of consumer `{consumer}`");
        let what = match error.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => {
                format!(
                    "{what}: the sequence of batch ids is behind those in use; {}",
                    crate::admin::integrity::ADVICE
                )
            }
            _ => what,
        };
        Error::failed(what).caused_by(error)
    }

    /// Returns no row when another process has the consumer's lock.
    ///
    /// The extension fails to merge ticks if one of them is at `infinity` and the server is older than 17. Then the next tick
    /// alone is the batch.
    async fn try_next_batch(
        &self,
        session: &mut impl Session,
        defers_flush: bool,
    ) -> Result<Option<Row>, postgres::Error> {
        let has_endless_tick = &self.server.has_endless_tick;
        if !has_endless_tick.load(Ordering::Relaxed) {
            match self.call_next_batch(session, defers_flush, true).await {
                Err(error) if error.code() == Some(&SqlState::DATETIME_FIELD_OVERFLOW) => {}
                result => return result,
            }
            has_endless_tick.store(true, Ordering::Relaxed);
        }
        let row = self.call_next_batch(session, defers_flush, false).await?;
        has_endless_tick.store(false, Ordering::Relaxed);
        Ok(row)
    }

    /// Calls the function that opens the next batch. `collects` is whether the batch may have several ticks.
    async fn call_next_batch(
        &self,
        session: &mut impl Session,
        defers_flush: bool,
        collects: bool,
    ) -> Result<Option<Row>, postgres::Error> {
        let settings = &self.settings;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let merges = collects && settings.merges();
        let count = if merges { Some(settings.merge_events) } else { settings.collect_events };
        let count = count.filter(|_| collects).map(to_int4);
        let interval = seconds(settings.collect_interval).filter(|_| collects);
        let (lag, timeout) = (seconds(settings.keep_lag), seconds(settings.subconsumer_timeout));
        let mut values = vec![
            text(&settings.queue),
            text(&settings.consumer),
            float8(&lag),
            int4(&count),
            float8(&interval),
            boolean(&merges),
            boolean(&self.holds_lock),
            boolean(&defers_flush),
        ];
        let statements = self.statements(session).await?;
        let statement = match &settings.subconsumer {
            None => statements.single,
            Some(subconsumer) => {
                values.extend([text(subconsumer), float8(&timeout)]);
                statements.cooperative
            }
        };
        let rows = session.repeat(statement, &values, "").await.inspect_err(|_| {
            // The next call may reach another server, another schema, or have other rights.
            self.server.ticks_function.store(UNKNOWN, Ordering::Relaxed);
        })?;
        Ok(rows.into_iter().next())
    }

    /// Returns the statements that fit the schema.
    async fn statements(&self, session: &mut impl Session) -> Result<Statements, postgres::Error> {
        let known = &self.server.ticks_function;
        if known.load(Ordering::Relaxed) == UNKNOWN {
            let rows = session.rows(next_batch::HAS_FUNCTION, &[]).await?;
            let has_function = rows.first().is_some_and(|row| row.get(0));
            known.store(if has_function { PRESENT } else { ABSENT }, Ordering::Relaxed);
        }
        Ok(match known.load(Ordering::Relaxed) {
            PRESENT => next_batch::BY_FUNCTION,
            _ => next_batch::BY_QUERY,
        })
    }

    /// Returns the name that the consumer's lock has: one process each may have it.
    pub(crate) fn lock_name(&self) -> String {
        let Settings { consumer, subconsumer, .. } = &self.settings;
        subconsumer.as_ref().map_or_else(|| consumer.clone(), |own| format!("{consumer}.{own}"))
    }
}

fn next_batch(row: &Row) -> Result<Option<NextBatch>, postgres::Error> {
    let Some(id) = row.try_get(0)? else { return Ok(None) };
    let (Time(prev_tick_time), Time(tick_time)) = (row.try_get(3)?, row.try_get(4)?);
    let info = BatchInfo {
        id,
        prev_tick: row.try_get(1)?,
        tick: row.try_get(2)?,
        prev_tick_time,
        tick_time,
        event_ids: row.try_get(5)?,
    };
    Ok(Some(NextBatch {
        info,
        #[cfg(feature = "tokio")]
        opened_at: row.try_get(7)?,
    }))
}

fn to_int4(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
