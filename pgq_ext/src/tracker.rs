//! The record of what has been applied on the target.

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
}

impl Tracker {
    /// Makes the tracker of a consumer.
    pub fn new(consumer: &str) -> Tracker {
        Tracker { consumer: consumer.to_owned() }
    }

    /// Returns the consumer's name.
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// Waits until no other transaction works for this consumer, and keeps others waiting until this one
    /// ends.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn lock(&self, client: &mut impl GenericClient) -> Result<(), Error> {
        self.call(client, "cannot lock the consumer", sql::LOCK, &[]).map(|_| ())
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
        self.call(client, "cannot read the last batch", sql::IS_BATCH_DONE, &values).map(|row| row.get(0))
    }

    /// Records a batch as applied; returns `false` when it was already. PgQ: `pgq_ext.set_batch_done`.
    ///
    /// # Errors
    ///
    /// As [`last_tick`](Tracker::last_tick).
    pub fn set_batch_done(&self, client: &mut impl GenericClient, batch: i64) -> Result<bool, Error> {
        let values: [(&(dyn ToSql + Sync), Type); 1] = [(&batch, Type::INT8)];
        self.call(client, "cannot record the batch", sql::SET_BATCH_DONE, &values).map(|row| row.get(0))
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
