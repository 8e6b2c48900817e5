//! A consumer's place in a queue, and the batch that comes next.

use std::time::Duration;

use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::admin::registration;
use crate::consume::settings::Settings;
use crate::error::Error;
use crate::event::batch_info::BatchInfo;
use crate::event::checkpoint::Checkpoint;
use crate::lock::{self, Lock, Waiting};
use crate::schema::row_security;
use crate::sql;
use crate::time::Time;

/// A consumer's registration on a queue; a subconsumer's, when the settings name one.
#[derive(Clone, Debug)]
pub struct Subscription {
    settings: Settings,
    /// Whether the consumer's lock is held for as long as the consumer runs.
    guarded: bool,
}

impl Subscription {
    /// Makes a subscription out of settings; nothing is asked of the server yet.
    pub fn new(settings: Settings) -> Subscription {
        Subscription { settings, guarded: false }
    }

    /// Leaves it to the caller to hold the consumer's lock.
    pub(crate) fn guarded(mut self) -> Subscription {
        self.guarded = true;
        self
    }

    pub(crate) fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells whether the consumer is registered.
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
    /// As [`register_consumer`](crate::register_consumer).
    pub fn register(&self, client: &mut impl GenericClient) -> Result<bool, Error> {
        let Settings { queue, consumer, subconsumer, .. } = &self.settings;
        match subconsumer {
            None => registration::register_consumer(client, queue, consumer),
            Some(own) => registration::register_subconsumer(client, queue, consumer, own),
        }
    }

    /// Removes the consumer; returns `false` when it was not registered.
    ///
    /// # Errors
    ///
    /// As [`unregister_consumer`](crate::unregister_consumer).
    pub fn unregister(&self, client: &mut impl GenericClient) -> Result<bool, Error> {
        let Settings { queue, consumer, subconsumer, .. } = &self.settings;
        match subconsumer {
            None => registration::unregister_consumer(client, queue, consumer),
            Some(own) => registration::unregister_subconsumer(client, queue, consumer, own),
        }
    }

    /// Registers the consumer at a tick, or moves it there.
    pub(crate) fn move_to(&self, client: &mut impl GenericClient, at: &Checkpoint) -> Result<(), Error> {
        let Settings { queue, consumer, .. } = &self.settings;
        if registration::tick_time(client, queue, at.tick)?.is_none() {
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
        if self.guarded { Ok(()) } else { lock::take(client, &self.settings.queue, &self.lock_name()) }
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
        self.open_next(client, false)
    }

    /// As [`next_batch`](Subscription::next_batch); `hurried` leaves writing it to the disk to a later commit, so
    /// that after a crash of the server another batch may begin at the same tick.
    pub(crate) fn open_next(
        &self,
        client: &mut impl GenericClient,
        hurried: bool,
    ) -> Result<Option<BatchInfo>, Error> {
        let Settings { queue, consumer, .. } = &self.settings;
        let mut waiting = Waiting::default();
        loop {
            let row = lock::retrying(|| self.try_next_batch(client, hurried))
                .map_err(|error| self.not_opened(error).on_queue(queue))?;
            if let Some(row) = row {
                row_security::require_visible(row.get(6)).map_err(|error| error.on_queue(queue))?;
                return info(&row).map_err(|error| {
                    let what = "cannot read the next batch, whose ticks are missing or no ticks";
                    Error::failed(what).on_queue(queue).caused_by(error)
                });
            }
            let holders = lock::consumer_holders(client, queue, &self.lock_name())?;
            if !holders.is_empty() || self.settings.subconsumer.is_none() {
                return Err(lock::busy(&holders, consumer).on_queue(queue));
            }
            // Others are about to finish batches, or somebody only has their lock.
            let values: [(&(dyn ToSql + Sync), Type); 2] = [(queue, Type::TEXT), (consumer, Type::TEXT)];
            let name = format!("the lock of batches of consumer `{consumer}`");
            let lock = Lock::new(&name, sql::lock::FINISH, &values);
            while !waiting.go_on(client, &lock)? {}
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
    fn try_next_batch(
        &self,
        client: &mut impl GenericClient,
        hurried: bool,
    ) -> Result<Option<Row>, postgres::Error> {
        let settings = &self.settings;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let merges = settings.merges();
        let count = if merges { Some(settings.merge_events) } else { settings.collect_events }.map(to_int4);
        let (lag, interval) = (seconds(settings.keep_lag), seconds(settings.collect_interval));
        let timeout = seconds(settings.subconsumer_timeout);
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&settings.queue, Type::TEXT),
            (&settings.consumer, Type::TEXT),
            (&lag, Type::FLOAT8),
            (&count, Type::INT4),
            (&interval, Type::FLOAT8),
            (&merges, Type::BOOL),
            (&self.guarded, Type::BOOL),
            (&hurried, Type::BOOL),
        ];
        let Some(subconsumer) = &settings.subconsumer else {
            return client.query_typed_opt(sql::batch::NEXT_BATCH, &values);
        };
        values.extend([(subconsumer as _, Type::TEXT), (&timeout as _, Type::FLOAT8)]);
        client.query_typed_opt(sql::batch::NEXT_COOP_BATCH, &values)
    }

    /// Returns the name that the consumer's lock has: one process each may have it.
    pub(crate) fn lock_name(&self) -> String {
        let Settings { consumer, subconsumer, .. } = &self.settings;
        subconsumer.as_ref().map_or_else(|| consumer.clone(), |own| format!("{consumer}.{own}"))
    }
}

fn info(row: &Row) -> Result<Option<BatchInfo>, postgres::Error> {
    let Some(id) = row.try_get(0)? else { return Ok(None) };
    let (Time(prev_tick_time), Time(tick_time)) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Some(BatchInfo {
        id,
        prev_tick: row.try_get(1)?,
        tick: row.try_get(2)?,
        prev_tick_time,
        tick_time,
        event_ids: row.try_get(5)?,
    }))
}

fn to_int4(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
