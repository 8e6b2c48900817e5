//! A consumer's place in a queue, and the batch that comes next.

use crate::sql::batch::hidden_positions;
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
use crate::time::Time;

/// A consumer's registration on a queue; a subconsumer's, when the settings name one.
#[derive(Clone, Debug)]
pub struct Subscription {
    settings: Settings,
    /// Whether the consumer's lock is held for as long as the consumer runs.
    holds_lock: bool,
}

/// A batch that was opened.
pub(crate) struct NextBatch {
    pub(crate) info: BatchInfo,
    /// When it was opened, by the server's clock.
    #[cfg(feature = "tokio")]
    pub(crate) opened_at: DateTime<Utc>,
}

/// The position of a consumer, $1 its queue and $2 its name. Visits the newest version of the row only: an old snapshot
/// keeps all versions.
macro_rules! position {
    () => {
        "(select sub_queue, sub_last_tick from pgq.subscription \
         where sub_queue = (select queue_id from pgq.queue where queue_name = $1) \
             and sub_consumer = (select co_id from pgq.consumer where co_name = $2) \
         order by sub_active desc limit 1) own"
    };
}

/// Makes the statement that opens a batch, out of the consumer's lock name and the function that opens it.
///
/// $1 queue, $2 consumer, $3 least lag, $4 least number of events, $5 least interval, times in seconds; $6
/// whether to take all ticks up to the last one as one batch, or as many as it takes to reach $4 events; $7
/// whether the lock is held elsewhere; $8 whether the commit need not wait for the disk, which it does
/// otherwise, also where that is not the default. No row: another process has the lock.
///
/// The last three columns are how many event ids were taken between the batch's ticks, which tables row security hides
/// from this role, and the server's time, read under the lock.
///
/// The function gets its arguments from `guard`, so it cannot run before the lock is taken. With $6 the server searches
/// for the first tick that is $4 events or the given interval away; the interval is the distance to the last tick, so
/// there always is one. No interval leads to a tick at `infinity`, as ticks from elsewhere may be; then ticks are taken
/// one by one, and one that has no age is not waited for. Rows that are looked up one by one are planned sooner than a
/// join of them.
macro_rules! next_batch {
    ($lock:literal, $consumer:expr, $turns:literal, $function:literal, $more:literal) => {
        concat!(
            "select batch_id, prev_tick_id, cur_tick_id, prev_tick_time, cur_tick_time, \
                 cur_tick_event_seq - prev_tick_event_seq, hidden, pg_catalog.clock_timestamp() from ( \
                 select $1::pg_catalog.text as queue, ",
            $consumer,
            " as consumer, ",
            hidden_positions!(),
            " as hidden, ($4 is not null or $5 is not null or $6) and exists ( \
                     select from ",
            position!(),
            " join pgq.tick on tick_queue = sub_queue and tick_id >= sub_last_tick \
                     where not pg_catalog.isfinite(tick_time)) as endless, exists ( \
                     select from ",
            position!(),
            " cross join lateral ( \
                         select tick_time from pgq.tick where tick_queue = sub_queue and tick_id > sub_last_tick \
                         order by tick_queue, tick_id limit 1) following \
                     where not pg_catalog.isfinite(tick_time)) as ageless \
                 where case when $7 then true else pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(",
            $lock,
            ", 0)) end \
                     and case when $8 then pg_catalog.set_config('synchronous_commit', 'off', true) is not null \
                         when pg_catalog.current_setting('synchronous_commit') = 'off' \
                             then pg_catalog.set_config('synchronous_commit', 'on', true) is not null \
                         else true end",
            $turns,
            " offset 0) guard \
             cross join lateral ",
            $function,
            ", case when not ageless then pg_catalog.make_interval(secs => $3) end, case when not endless then $4 end, case when endless then null \
                 when not $6 then pg_catalog.make_interval(secs => $5) else ( \
                 select (select tick_time from pgq.tick where tick_queue = sub_queue \
                         order by tick_queue desc, tick_id desc limit 1) \
                     - (select tick_time from pgq.tick where tick_queue = sub_queue and tick_id = sub_last_tick) \
                 from ",
            position!(),
            ") end",
            $more,
            ")"
        )
    };
}

const NEXT_BATCH: &str = next_batch!(
    "pg_catalog.format('pgq %L %L', $1, $2)",
    "$2::pg_catalog.text",
    "",
    "pgq.next_batch_custom(guard.queue, guard.consumer",
    ""
);

/// $9 subconsumer, $10 the time after which another one is dead, in seconds. Who may take a batch over waits for those
/// that are about to finish one: no row then, too. For a consumer that is not registered the function gets a null, and
/// refuses.
const NEXT_COOP_BATCH: &str = next_batch!(
    "pg_catalog.format('pgq %L %L', $1, $2 || '.' || $9)",
    concat!("(select $2 from ", position!(), ")"),
    " and pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended( \
         pg_catalog.format('pgq finish %L %L', $1, $2), 0::pg_catalog.int8))",
    "pgq_coop.next_batch_custom(guard.queue, guard.consumer, $9",
    ", pg_catalog.make_interval(secs => $10)"
);

impl Subscription {
    /// Makes a subscription out of settings; nothing is asked of the server yet.
    pub fn new(settings: Settings) -> Subscription {
        Subscription { settings, holds_lock: false }
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
    async fn try_next_batch(
        &self,
        session: &mut impl Session,
        defers_flush: bool,
    ) -> Result<Option<Row>, postgres::Error> {
        let settings = &self.settings;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let merges = settings.merges();
        let count = if merges { Some(settings.merge_events) } else { settings.collect_events }.map(to_int4);
        let (lag, interval) = (seconds(settings.keep_lag), seconds(settings.collect_interval));
        let timeout = seconds(settings.subconsumer_timeout);
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
        let Some(subconsumer) = &settings.subconsumer else {
            return Ok(session.repeat(NEXT_BATCH, &values, "").await?.into_iter().next());
        };
        values.extend([text(subconsumer), float8(&timeout)]);
        Ok(session.repeat(NEXT_COOP_BATCH, &values, "").await?.into_iter().next())
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
