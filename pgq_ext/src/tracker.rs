//! The record of what has been applied on the target.

use pgq::Settings;
use pgq::lock::Lock;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::{Error, sql};

/// Reads and writes the record of one consumer.
///
/// The functions take a client or a transaction of the target database. To make exactly once true, read,
/// apply and write in one transaction that starts with [`lock`](Tracker::lock).
#[derive(Clone, Debug)]
pub struct Tracker {
    consumer: String,
    subconsumer: Option<String>,
}

impl Tracker {
    /// Makes the tracker of a consumer.
    pub fn new(consumer: &str) -> Tracker {
        Tracker { consumer: consumer.to_owned(), subconsumer: None }
    }

    /// Records batches under the name of a subconsumer, and finds those that others of the same consumer have
    /// applied, since a batch may be taken over.
    pub fn subconsumer(mut self, name: &str) -> Tracker {
        self.subconsumer = Some(name.to_owned());
        self
    }

    /// Returns the consumer's name.
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// Waits until no other transaction works for this consumer, and keeps others waiting until this one
    /// ends. Subconsumers wait for each other only in [`lock_batch`](Tracker::lock_batch).
    ///
    /// A wait of more than three seconds is a warning in the log, with who has the lock.
    ///
    /// # Errors
    ///
    /// When the loop that runs on this thread is asked to stop, when the session's `lock_timeout` is over, with who has
    /// the lock, and when the server fails.
    pub fn lock(&self, client: &mut impl GenericClient) -> Result<(), Error> {
        let values: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.consumer, Type::TEXT), (&self.subconsumer, Type::TEXT)];
        let name = format!("the target's lock of consumer `{}`", self.consumer);
        let taken = Lock::new(&name, sql::LOCK, &values).take(client);
        taken.map_err(|error| Error::failed("cannot lock the consumer", error))
    }

    /// Waits until no other subconsumer's transaction works on a batch, and keeps others waiting until this one ends.
    /// Without subconsumers [`lock`](Tracker::lock) does that, and this does nothing.
    ///
    /// # Errors
    ///
    /// As [`lock`](Tracker::lock).
    pub fn lock_batch(&self, client: &mut impl GenericClient, batch: i64) -> Result<(), Error> {
        if self.subconsumer.is_none() {
            return Ok(());
        }
        let values: [(&(dyn ToSql + Sync), Type); 2] = [(&self.consumer, Type::TEXT), (&batch, Type::INT8)];
        let name = format!("the target's lock of batch {batch} of consumer `{}`", self.consumer);
        let taken = Lock::new(&name, sql::LOCK_BATCH, &values).take(client);
        taken.map_err(|error| Error::failed("cannot lock the batch", error))
    }

    /// Returns the tick up to which the queue was applied. PgQ: `pgq_ext.get_last_tick`.
    ///
    /// # Errors
    ///
    /// When the schema is not installed, and when the server fails.
    pub fn last_tick(&self, client: &mut impl GenericClient) -> Result<Option<i64>, Error> {
        self.call(client, "cannot read the last tick", sql::GET_LAST_TICK, &[]).map(|row| row.get(0))
    }

    /// Sets the tick up to which the queue was applied; `None` forgets it. PgQ: `pgq_ext.set_last_tick`.
    ///
    /// # Errors
    ///
    /// As [`last_tick`](Tracker::last_tick).
    pub fn set_last_tick(&self, client: &mut impl GenericClient, tick: Option<i64>) -> Result<(), Error> {
        let values: [(&(dyn ToSql + Sync), Type); 1] = [(&tick, Type::INT8)];
        self.call(client, "cannot record the tick", sql::SET_LAST_TICK, &values).map(|_| ())
    }

    /// Tells whether a batch is the last one that was applied. PgQ: `pgq_ext.is_batch_done`.
    ///
    /// # Errors
    ///
    /// As [`last_tick`](Tracker::last_tick).
    pub fn is_batch_done(&self, client: &mut impl GenericClient, batch: i64) -> Result<bool, Error> {
        let values: [(&(dyn ToSql + Sync), Type); 1] = [(&batch, Type::INT8)];
        let statement =
            if self.subconsumer.is_some() { sql::IS_BATCH_DONE_BY_ANY } else { sql::IS_BATCH_DONE };
        self.call(client, "cannot read the last batch", statement, &values).map(|row| row.get(0))
    }

    /// Returns the batch that the next record of this subconsumer replaces; `None` without subconsumers.
    pub(crate) fn last_batch(&self, client: &mut impl GenericClient) -> Result<Option<i64>, Error> {
        if self.subconsumer.is_none() {
            return Ok(None);
        }
        let values: [(&(dyn ToSql + Sync), Type); 1] = [(&self.subconsumer, Type::TEXT)];
        self.call(client, "cannot read the last batch", sql::GET_LAST_BATCH, &values).map(|row| row.get(0))
    }

    /// Takes the subconsumer's name from the consumer's settings.
    ///
    /// Fails when they are another consumer's or subconsumer's.
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

    /// Records a batch as applied; returns `false` when it was already. PgQ: `pgq_ext.set_batch_done`.
    ///
    /// # Errors
    ///
    /// As [`last_tick`](Tracker::last_tick).
    pub fn set_batch_done(&self, client: &mut impl GenericClient, batch: i64) -> Result<bool, Error> {
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&batch, Type::INT8)];
        let Some(subconsumer) = &self.subconsumer else {
            return self.record(client, sql::SET_BATCH_DONE, &values);
        };
        values.push((subconsumer, Type::TEXT));
        self.record(client, sql::SET_BATCH_DONE_BY, &values)
    }

    fn record(
        &self,
        client: &mut impl GenericClient,
        statement: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<bool, Error> {
        self.call(client, "cannot record the batch", statement, values).map(|row| row.get(0))
    }

    /// Runs a statement whose first parameter is the consumer.
    fn call(
        &self,
        client: &mut impl GenericClient,
        what: &str,
        statement: &str,
        more: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Row, Error> {
        let consumer: (&(dyn ToSql + Sync), Type) = (&self.consumer, Type::TEXT);
        let values: Vec<_> = std::iter::once(consumer).chain(more.iter().cloned()).collect();
        client
            .query_typed_one(statement, &values)
            .map_err(|error| Error::failed(format!("consumer `{}`: {what}", self.consumer), error))
    }
}
