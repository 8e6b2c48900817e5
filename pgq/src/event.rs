//! One event of a batch.

use chrono::{DateTime, Utc};
use postgres::Row;
use postgres::types::FromSql;

/// An event as its producer inserted it, and what PgQ added. It shares the buffer its page was read into.
#[derive(Clone, Debug)]
pub struct Event {
    row: Row,
}

/// The columns of the events query, by number.
const ID: usize = 0;
const TIME: usize = 1;
const TXID: usize = 2;
const RETRY: usize = 3;
const TYPE: usize = 4;
const DATA: usize = 5;
const EXTRA1: usize = 6;
const EXTRA4: usize = 9;

impl Event {
    pub(crate) fn new(row: Row) -> Event {
        Event { row }
    }

    /// Returns `ev_id`: the event's number, unique in its queue.
    pub fn id(&self) -> i64 {
        self.get(ID).unwrap_or_default()
    }

    /// Returns `ev_time`: when the event was inserted.
    pub fn time(&self) -> DateTime<Utc> {
        self.get(TIME).unwrap_or_default()
    }

    /// Returns `ev_txid`: the transaction that inserted it, or put it back for a retry.
    pub fn txid(&self) -> i64 {
        self.get(TXID).unwrap_or_default()
    }

    /// Returns `ev_retry`: how often the event was tagged for retry so far.
    pub fn retry(&self) -> i32 {
        self.get(RETRY).unwrap_or_default()
    }

    /// Returns `ev_type`; empty when it is NULL.
    pub fn event_type(&self) -> &str {
        self.get(TYPE).unwrap_or_default()
    }

    /// Returns `ev_data`; `None` when it is NULL.
    pub fn data(&self) -> Option<&str> {
        self.get(DATA)
    }

    /// Returns `ev_extra1`; `None` when it is NULL. The trigger functions put the table's name there.
    pub fn extra1(&self) -> Option<&str> {
        self.get(EXTRA1)
    }

    /// Returns `ev_extra2`; `None` when it is NULL.
    pub fn extra2(&self) -> Option<&str> {
        self.get(EXTRA1 + 1)
    }

    /// Returns `ev_extra3`; `None` when it is NULL.
    pub fn extra3(&self) -> Option<&str> {
        self.get(EXTRA1 + 2)
    }

    /// Returns `ev_extra4`; `None` when it is NULL.
    pub fn extra4(&self) -> Option<&str> {
        self.get(EXTRA4)
    }

    /// The query fixes the columns' types, and the server sends valid UTF-8, so no value fails to convert.
    fn get<'a, T: FromSql<'a>>(&'a self, column: usize) -> Option<T> {
        self.row.try_get::<_, Option<T>>(column).ok().flatten()
    }
}
