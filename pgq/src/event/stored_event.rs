//! One event of a batch.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postgres::Row;
use postgres::types::{FromSql, Type};
use sha2::{Digest, Sha256};

use crate::time::Time;
use dbscript::BoxError;

/// An event as its producer inserted it, and what PgQ added. It shares the buffer its page was read into.
#[derive(Clone, Debug)]
pub struct Event {
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// As the server sent it.
    Row(Row),
    /// As a test made it.
    Made(Arc<Made>),
}

/// The columns of an event that no server has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) id: i64,
    pub(crate) time: DateTime<Utc>,
    pub(crate) txid: i64,
    pub(crate) retry: i32,
    /// Type, data, and the four extras.
    pub(crate) texts: [Option<String>; 6],
}

/// The columns of the events query, by number.
const ID: usize = 0;
const TIME: usize = 1;
const TXID: usize = 2;
const RETRY: usize = 3;
const TEXTS: usize = 4;
const TEXT_NAMES: [&str; 6] = ["ev_type", "ev_data", "ev_extra1", "ev_extra2", "ev_extra3", "ev_extra4"];
/// The texts, by number.
const TYPE: usize = 0;
const DATA: usize = 1;
const EXTRA1: usize = 2;

/// How many columns a [`Mark`] is made of: the time and the texts.
const RECORD_COLUMNS: i32 = 7;

/// What distinguishes events of one id.
pub(crate) type Mark = [u8; 8];

impl Event {
    pub(crate) fn new(row: Row) -> Event {
        Event { content: Content::Row(row) }
    }

    pub(crate) fn made(made: Made) -> Event {
        Event { content: Content::Made(Arc::new(made)) }
    }

    /// Returns `ev_id`: the event's number, unique in its queue.
    pub fn id(&self) -> i64 {
        match &self.content {
            Content::Row(row) => get(row, ID).unwrap_or_default(),
            Content::Made(made) => made.id,
        }
    }

    /// Returns `ev_time`: when the event was inserted. A time that no `DateTime` can hold is `DateTime::MAX_UTC`, as
    /// `infinity` is, or `DateTime::MIN_UTC`, as `-infinity` is.
    pub fn time(&self) -> DateTime<Utc> {
        match &self.content {
            Content::Row(row) => get(row, TIME).map_or(DateTime::<Utc>::MIN_UTC, |Time(time)| time),
            Content::Made(made) => made.time,
        }
    }

    /// Returns `ev_txid`: the transaction that inserted it, or put it back for a retry.
    pub fn txid(&self) -> i64 {
        match &self.content {
            Content::Row(row) => get(row, TXID).unwrap_or_default(),
            Content::Made(made) => made.txid,
        }
    }

    /// Returns `ev_retry`: the number of times that the event was tagged for retry.
    pub fn retry(&self) -> i32 {
        match &self.content {
            Content::Row(row) => get(row, RETRY).unwrap_or_default(),
            Content::Made(made) => made.retry,
        }
    }

    /// Returns `ev_type`; empty when it is NULL.
    pub fn event_type(&self) -> &str {
        self.text(TYPE).unwrap_or_default()
    }

    /// Returns `ev_data`; `None` when it is NULL.
    pub fn data(&self) -> Option<&str> {
        self.text(DATA)
    }

    /// Returns `ev_extra1`; `None` when it is NULL. The trigger functions put the table's name there.
    pub fn extra1(&self) -> Option<&str> {
        self.text(EXTRA1)
    }

    /// Returns `ev_extra2`; `None` when it is NULL.
    pub fn extra2(&self) -> Option<&str> {
        self.text(EXTRA1 + 1)
    }

    /// Returns `ev_extra3`; `None` when it is NULL.
    pub fn extra3(&self) -> Option<&str> {
        self.text(EXTRA1 + 2)
    }

    /// Returns `ev_extra4`; `None` when it is NULL.
    pub fn extra4(&self) -> Option<&str> {
        self.text(EXTRA1 + 3)
    }

    /// Returns what distinguishes events of one id: eight bytes of the hash of the time and the texts, which the server
    /// makes of the same row (`pgq.event_retry_many`).
    #[doc(hidden)]
    pub fn mark(&self) -> Mark {
        let Content::Row(row) = &self.content else { return Mark::default() };
        let columns = std::iter::once(TIME).chain(TEXTS..TEXTS + TEXT_NAMES.len());
        // The layout of a record in the binary format: how many columns; of each its type, length and bytes.
        let mut hash = Sha256::new_with_prefix(RECORD_COLUMNS.to_be_bytes());
        for column in columns {
            let bytes = row.try_get::<_, Option<Bytes<'_>>>(column).ok().flatten();
            let length =
                bytes.as_ref().map_or(-1, |Bytes(bytes)| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            hash.update(row.columns()[column].type_().oid().to_be_bytes());
            hash.update(length.to_be_bytes());
            hash.update(bytes.map_or(&[][..], |Bytes(bytes)| bytes));
        }
        let mut mark = Mark::default();
        mark.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
        mark
    }

    /// Returns the memory that the event takes, in bytes.
    #[cfg(feature = "tokio")]
    pub(crate) fn size(&self) -> usize {
        match &self.content {
            Content::Row(row) => row.raw_size_bytes(),
            Content::Made(made) => made.texts.iter().flatten().map(String::len).sum(),
        }
    }

    /// Returns the name of the first column whose text is not UTF-8, which a database with encoding SQL_ASCII may hold.
    pub(crate) fn unreadable(&self) -> Option<&'static str> {
        let Content::Row(row) = &self.content else { return None };
        let is_wrong = |number: usize| row.try_get::<_, Option<&str>>(TEXTS + number).is_err();
        TEXT_NAMES.iter().enumerate().find(|(number, _)| is_wrong(*number)).map(|(_, name)| *name)
    }

    fn text(&self, number: usize) -> Option<&str> {
        match &self.content {
            Content::Row(row) => get(row, TEXTS + number),
            Content::Made(made) => made.texts[number].as_deref(),
        }
    }
}

/// A value as the server sent it.
struct Bytes<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Bytes<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Bytes<'a>, BoxError> {
        Ok(Bytes(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Fails when the columns of events are not of the types that they have in PgQ, so that a value could not be read.
pub(crate) fn require_types(row: &Row) -> Result<(), BoxError> {
    let types = [Type::INT8, Type::TIMESTAMPTZ, Type::INT8, Type::INT4].into_iter();
    for (column, expected) in row.columns().iter().zip(types.chain(std::iter::repeat_n(Type::TEXT, 6))) {
        if *column.type_() != expected {
            let (name, found) = (column.name(), column.type_());
            return Err(
                format!("column `{name}` of the queue's events is of type {found}, not {expected}").into()
            );
        }
    }
    Ok(())
}

/// Returns a column's value. No conversion fails: the columns' types are [checked](require_types), and events whose
/// text is not UTF-8 are not delivered.
fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Option<T> {
    row.try_get::<_, Option<T>>(column).ok().flatten()
}
