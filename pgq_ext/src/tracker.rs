//! The record of applied batches on the target.

use chrono::{DateTime, Utc};
use dbscript::param::{Param, int8, text, timestamptz};
use pgq::lock::Lock;
use pgq::{BatchInfo, Checkpoint, Settings};
use postgres::{GenericClient, Row};

use crate::error::Error;
use crate::sql;

/// Reads and writes the record of one consumer.
///
/// The functions take a client or a transaction of the target database. For exactly-once processing, read, apply and
/// write in one transaction that starts with [`lock`](Tracker::lock), and commit it before the batch is finished.
/// Every function that records makes that commit wait for the target's disk, even if `synchronous_commit` is off.
///
/// ```no_run
/// # use pgq::{BoxError, Events};
/// # use pgq::postgres::Client;
/// # use pgq_ext::Tracker;
/// # fn write(_: &mut Events<'_>, _: &mut postgres::Transaction<'_>) -> Result<(), BoxError> { Ok(()) }
/// fn apply(events: &mut Events<'_>, target: &mut Client) -> Result<(), BoxError> {
///     let tracker = Tracker::new("mover");
///     let mut transaction = target.transaction()?;
///     tracker.lock(&mut transaction)?;
///     if !tracker.is_applied(&mut transaction, events)? {
///         write(events, &mut transaction)?;
///         tracker.set_applied(&mut transaction, events.info())?;
///     }
///     Ok(transaction.commit()?)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Tracker {
    consumer: String,
    subconsumer: Option<String>,
}

/// The record of a batch.
pub(crate) struct BatchStatus {
    /// This very batch is recorded, or its number alone.
    pub(crate) is_done: bool,
    /// The batch is recorded with its ticks.
    pub(crate) has_ticks: bool,
    /// A recorded batch has ticks in common with this one.
    pub(crate) is_applied: bool,
    /// The last tick of all batches that are recorded.
    pub(crate) last: Option<Checkpoint>,
    /// The batch whose record the next one of this subconsumer replaces.
    pub(crate) own: Option<i64>,
    /// The end of the batch in `own`, if its ticks are recorded.
    pub(crate) own_end: Option<Checkpoint>,
}

impl Tracker {
    /// Makes the tracker of a consumer.
    pub fn new(consumer: &str) -> Tracker {
        Tracker { consumer: consumer.to_owned(), subconsumer: None }
    }

    /// Records batches under the name of a subconsumer, and also finds batches that other subconsumers of the consumer
    /// have applied, since a batch may be taken over.
    pub fn subconsumer(mut self, name: &str) -> Tracker {
        self.subconsumer = Some(name.to_owned());
        self
    }

    /// Returns the consumer's name.
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// Waits until no other transaction works for this consumer, and makes others wait until this one
    /// ends. Subconsumers wait for each other only in [`lock_batch`](Tracker::lock_batch).
    ///
    /// A wait of more than three seconds is a warning in the log, which names the holder of the lock.
    ///
    /// # Errors
    ///
    /// When the loop that runs on this thread is stopping, when the session's `lock_timeout` has passed (the error
    /// names the holder of the lock), and when the server fails.
    pub fn lock(&self, client: &mut impl GenericClient) -> Result<(), Error> {
        let values = [text(&self.consumer), text(&self.subconsumer)];
        let name = format!("the target's lock of consumer `{}`", self.consumer);
        let taken = Lock::new(&name, sql::LOCK, &values).also(sql::LIFT_LIMITS).take(client);
        taken.map_err(|error| Error::failed("cannot lock the consumer", error))
    }

    /// Waits until no other subconsumer's transaction works on a batch, and makes others wait until this one ends. Does
    /// nothing without subconsumers, for which [`lock`](Tracker::lock) suffices.
    ///
    /// # Errors
    ///
    /// As [`lock`](Tracker::lock).
    pub fn lock_batch(&self, client: &mut impl GenericClient, batch: i64) -> Result<(), Error> {
        if self.subconsumer.is_none() {
            return Ok(());
        }
        let values = [text(&self.consumer), int8(&batch)];
        let name = format!("the target's lock of batch {batch} of consumer `{}`", self.consumer);
        let taken = Lock::new(&name, sql::LOCK_BATCH, &values).take(client);
        taken.map_err(|error| Error::failed("cannot lock the batch", error))
    }

    /// Returns the number of the tick up to which the queue was applied. PgQ: `pgq_ext.get_last_tick`.
    ///
    /// # Errors
    ///
    /// When the schema is not installed, when this role may not use it, and when the server fails.
    pub fn last_tick(&self, client: &mut impl GenericClient) -> Result<Option<i64>, Error> {
        self.call(client, "cannot read the last tick", sql::GET_LAST_TICK, &[]).map(|row| row.get(0))
    }

    /// Sets the number of the tick up to which the queue was applied, without its time; `None` forgets the tick. PgQ:
    /// `pgq_ext.set_last_tick`.
    ///
    /// A number without a time is accepted once, for any tick of the queue with that number.
    /// [`set_checkpoint`](Tracker::set_checkpoint) records the tick.
    ///
    /// # Errors
    ///
    /// As [`last_tick`](Tracker::last_tick).
    pub fn set_last_tick(&self, client: &mut impl GenericClient, tick: Option<i64>) -> Result<(), Error> {
        let values = [int8(&tick)];
        self.call(client, "cannot record the tick", sql::SET_LAST_TICK, &values).map(|_| ())
    }

    /// Returns the tick up to which the queue was applied, with its time if that was recorded.
    ///
    /// # Errors
    ///
    /// As [`last_tick`](Tracker::last_tick); and when the schema is of an older release or another PgQ and keeps no times
    /// ([`ErrorKind::NotInstalled`](crate::ErrorKind::NotInstalled)).
    pub fn checkpoint(&self, client: &mut impl GenericClient) -> Result<Option<Checkpoint>, Error> {
        let row = self.call(client, "cannot read the last tick", sql::GET_CHECKPOINT, &[])?;
        checkpoint(&row, 0).map_err(|error| self.failed("cannot read the last tick", error))
    }

    /// Sets the tick up to which the queue was applied.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Tracker::checkpoint).
    pub fn set_checkpoint(
        &self,
        client: &mut impl GenericClient,
        checkpoint: &Checkpoint,
    ) -> Result<(), Error> {
        let values = [int8(&checkpoint.tick), timestamptz(&checkpoint.time)];
        self.call(client, "cannot record the tick", sql::SET_CHECKPOINT, &values).map(|_| ())
    }

    /// Returns true if the number of a batch is that of the last applied one. PgQ: `pgq_ext.is_batch_done`.
    ///
    /// A queue that was restored or created again assigns the number to another batch; [`is_applied`](Tracker::is_applied)
    /// compares the batch's ticks as well.
    ///
    /// # Errors
    ///
    /// As [`last_tick`](Tracker::last_tick).
    pub fn is_batch_done(&self, client: &mut impl GenericClient, batch: i64) -> Result<bool, Error> {
        let values = [int8(&batch)];
        let statement =
            if self.subconsumer.is_some() { sql::IS_BATCH_DONE_BY_ANY } else { sql::IS_BATCH_DONE };
        self.call(client, "cannot read the last batch", statement, &values).map(|row| row.get(0))
    }

    /// Records the number of a batch as applied; returns `false` if it was already recorded. PgQ: `pgq_ext.set_batch_done`.
    ///
    /// # Errors
    ///
    /// As [`last_tick`](Tracker::last_tick).
    pub fn set_batch_done(&self, client: &mut impl GenericClient, batch: i64) -> Result<bool, Error> {
        let mut values = vec![int8(&batch)];
        let Some(subconsumer) = &self.subconsumer else {
            return self.record(client, sql::SET_BATCH_DONE, &values);
        };
        values.push(text(subconsumer));
        self.record(client, sql::SET_BATCH_DONE_BY, &values)
    }

    /// Records a batch as applied, with its ticks. Call this at the end of the transaction, since other subconsumers cannot
    /// record batches until the transaction ends.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Tracker::checkpoint).
    pub fn set_applied(&self, client: &mut impl GenericClient, batch: &BatchInfo) -> Result<(), Error> {
        let subconsumer = self.own();
        let values = [
            text(&subconsumer),
            int8(&batch.id),
            int8(&batch.prev_tick),
            timestamptz(&batch.prev_tick_time),
            int8(&batch.tick),
            timestamptz(&batch.tick_time),
        ];
        self.record(client, sql::SET_APPLIED, &values).map(|_| ())
    }

    /// Returns true if an event of a batch was applied, for consumers that commit event by event. PgQ:
    /// `pgq_ext.is_event_done`.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Tracker::checkpoint).
    pub fn is_event_done(
        &self,
        client: &mut impl GenericClient,
        batch: &BatchInfo,
        event: i64,
    ) -> Result<bool, Error> {
        self.of_event(client, "cannot read the last events", sql::IS_EVENT_DONE, (batch, event))
    }

    /// Records an event of a batch as applied, and forgets those of the batch before; returns `false` if it was
    /// already recorded. PgQ: `pgq_ext.set_event_done`.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Tracker::checkpoint).
    pub fn set_event_done(
        &self,
        client: &mut impl GenericClient,
        batch: &BatchInfo,
        event: i64,
    ) -> Result<bool, Error> {
        self.of_event(client, "cannot record the event", sql::SET_EVENT_DONE, (batch, event))
    }

    /// Forgets all batches and events that the consumer and its subconsumers have applied, so that the next
    /// batch is applied in any case. Returns the number of forgotten batches.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Tracker::checkpoint).
    pub fn forget_batches(&self, client: &mut impl GenericClient) -> Result<u64, Error> {
        let row = self.call(client, "cannot forget the batches", sql::FORGET_BATCHES, &[])?;
        Ok(u64::from(row.get::<_, i32>(0).unsigned_abs()))
    }

    /// Returns the record of a batch.
    pub(crate) fn batch_status(
        &self,
        client: &mut impl GenericClient,
        batch: &BatchInfo,
    ) -> Result<BatchStatus, Error> {
        let subconsumer = self.own();
        let values = [
            text(&subconsumer),
            int8(&batch.id),
            int8(&batch.prev_tick),
            int8(&batch.tick),
            timestamptz(&batch.tick_time),
        ];
        let row = self.call(client, "cannot read the last batch", sql::GET_BATCH_STATUS, &values)?;
        let failed = |error| self.failed("cannot read the last batch", error);
        Ok(BatchStatus {
            is_done: row.get(0),
            has_ticks: row.get(1),
            is_applied: row.get(2),
            last: checkpoint(&row, 3).map_err(failed)?,
            own: row.get(5),
            own_end: checkpoint(&row, 6).map_err(failed)?,
        })
    }

    /// Returns the batch that the next record of this subconsumer replaces; `None` without subconsumers.
    pub(crate) fn last_batch(&self, client: &mut impl GenericClient) -> Result<Option<i64>, Error> {
        if self.subconsumer.is_none() {
            return Ok(None);
        }
        let values = [text(&self.subconsumer)];
        self.call(client, "cannot read the last batch", sql::GET_LAST_BATCH, &values).map(|row| row.get(0))
    }

    /// Takes the subconsumer's name from the consumer's settings. Fails when the settings are of another consumer or
    /// subconsumer.
    pub(crate) fn configure(&mut self, settings: &Settings) -> Result<(), dbscript::Error> {
        let own = self.subconsumer.clone().or_else(|| settings.subconsumer.clone());
        if self.consumer == settings.consumer && own == settings.subconsumer {
            self.subconsumer = own;
            return Ok(());
        }
        let name = |consumer: &str, own: &Option<String>| match own {
            Some(own) => format!("{consumer}.{own}"),
            None => consumer.to_owned(),
        };
        Err(dbscript::Error::usage(format!(
            "the target's record is of `{}`, the consumer is `{}`",
            name(&self.consumer, &own),
            name(&settings.consumer, &settings.subconsumer)
        )))
    }

    pub(crate) fn has_subconsumer(&self) -> bool {
        self.subconsumer.is_some()
    }

    /// Returns the subconsumer's name as it is recorded.
    fn own(&self) -> &str {
        self.subconsumer.as_deref().unwrap_or_default()
    }

    fn of_event(
        &self,
        client: &mut impl GenericClient,
        what: &str,
        statement: &str,
        (batch, event): (&BatchInfo, i64),
    ) -> Result<bool, Error> {
        let subconsumer = self.own();
        let values = [text(&subconsumer), int8(&batch.id), int8(&event), timestamptz(&batch.tick_time)];
        self.call(client, what, statement, &values).map(|row| row.get(0))
    }

    fn record(
        &self,
        client: &mut impl GenericClient,
        statement: &str,
        values: &[Param<'_>],
    ) -> Result<bool, Error> {
        self.call(client, "cannot record the batch", statement, values).map(|row| row.get(0))
    }

    /// Runs a statement whose first parameter is the consumer.
    fn call(
        &self,
        client: &mut impl GenericClient,
        what: &str,
        statement: &str,
        more: &[Param<'_>],
    ) -> Result<Row, Error> {
        let consumer = text(&self.consumer);
        let values: Vec<_> = std::iter::once(consumer).chain(more.iter().cloned()).collect();
        client.query_typed_one(statement, &values).map_err(|error| self.failed(what, error))
    }

    fn failed(&self, what: &str, error: postgres::Error) -> Error {
        Error::of_statement(&self.consumer, what, error.code().cloned(), error)
    }
}

/// Reads a tick and its time from two columns.
fn checkpoint(row: &Row, column: usize) -> Result<Option<Checkpoint>, postgres::Error> {
    let Some(tick) = row.try_get(column)? else {
        return Ok(None);
    };
    let time: Option<DateTime<Utc>> = row.try_get(column + 1)?;
    Ok(Some(Checkpoint::new(tick, time)))
}
