//! Events that are inserted by one statement: for drivers whose COPY does not fit (DESIGN.md, D97), and delayed events.

use std::array;

#[cfg(any(feature = "sqlx", feature = "diesel", feature = "diesel-async"))]
use crate::admin::queue_lookup;
#[cfg(any(feature = "sqlx", feature = "diesel", feature = "diesel-async"))]
use crate::error::Error;
use crate::event::new_event::NewEvent;
#[cfg(any(feature = "sqlx", feature = "diesel", feature = "diesel-async"))]
use crate::sql::batch::EVENT_COLUMNS;
use crate::time;

/// The number of events of one statement at most.
const MAX_EVENTS: usize = 4096;
/// The size of the texts after which a statement gets no more events, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Begins a bulk insert within a transaction.
#[cfg(any(feature = "sqlx", feature = "diesel-async"))]
pub(crate) const SAVEPOINT: &str = "savepoint pgq_bulk_insert";
/// Ends a bulk insert within a transaction.
#[cfg(any(feature = "sqlx", feature = "diesel-async"))]
pub(crate) const RELEASE: &str = "release savepoint pgq_bulk_insert";
/// Ends a bulk insert that failed.
#[cfg(any(feature = "sqlx", feature = "diesel-async"))]
pub(crate) const ROLL_BACK: &str = "rollback to savepoint pgq_bulk_insert; release savepoint pgq_bulk_insert";

/// The events of one statement.
pub(crate) struct Chunk<'a>(Vec<NewEvent<'a>>);

impl<'a> Chunk<'a> {
    /// Takes the next events; `None`: there are no more.
    pub(crate) fn next(events: &mut impl Iterator<Item = NewEvent<'a>>) -> Option<Chunk<'a>> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while chunk.len() < MAX_EVENTS && bytes < MAX_BYTES {
            let Some(event) = events.next() else { break };
            bytes += event.texts().into_iter().flatten().map(str::len).sum::<usize>();
            chunk.push(event);
        }
        (!chunk.is_empty()).then_some(Chunk(chunk))
    }

    /// Returns an array for each text of an event. An array is empty if all its values are NULL, but for the first one,
    /// which decides on the number of rows.
    pub(crate) fn texts(&self) -> [Vec<Option<&str>>; 6] {
        let mut columns: [Vec<Option<&str>>; 6] = array::from_fn(|_| Vec::with_capacity(self.0.len()));
        for event in &self.0 {
            for (column, text) in columns.iter_mut().zip(event.texts()) {
                column.push(text);
            }
        }
        columns[1..].iter_mut().for_each(shorten);
        columns
    }

    /// Returns the times of delayed events as text.
    pub(crate) fn dues(&self) -> Vec<Option<String>> {
        self.0.iter().map(|event| event.at.map(time::to_text)).collect()
    }

    /// Returns the times as text; NULL: that of the transaction.
    #[cfg(any(feature = "sqlx", feature = "diesel", feature = "diesel-async"))]
    pub(crate) fn times(&self) -> Vec<Option<String>> {
        let mut times = self.0.iter().map(|event| event.time.map(time::to_text)).collect();
        shorten(&mut times);
        times
    }
}

/// Empties an array without values: the server takes a missing value for NULL.
fn shorten<T>(column: &mut Vec<Option<T>>) {
    if column.iter().all(Option::is_none) {
        column.clear();
    }
}

/// Makes the statement that inserts a chunk into a table, whose name is already quoted. $1 to $7 the arrays. The ids
/// have the order of the arrays.
#[cfg(any(feature = "sqlx", feature = "diesel", feature = "diesel-async"))]
pub(crate) fn insert(table: &str) -> String {
    let arrays: Vec<String> =
        (1..=7).map(|number| format!("pg_catalog.unnest(${number}::pg_catalog.text[])")).collect();
    let arrays = arrays.join(", ");
    format!(
        "insert into {table} ({EVENT_COLUMNS}) \
         select type, data, extra1, extra2, extra3, extra4, \
             coalesce(time::pg_catalog.timestamptz, pg_catalog.now()) \
         from rows from ({arrays}) events (type, data, extra1, extra2, extra3, extra4, time)"
    )
}

/// Reads the answer to [`INSERT_EVENT`](crate::sql::INSERT_EVENT) or
/// [`CURRENT_EVENT_TABLE`](crate::sql::CURRENT_EVENT_TABLE), a value and whether it is stale. Returns `None` if the
/// queue's tables were rotated after the transaction's snapshot.
#[cfg(any(feature = "sqlx", feature = "diesel", feature = "diesel-async"))]
pub(crate) fn fresh<T>(queue: &str, answer: Option<(Option<T>, bool)>) -> Result<Option<T>, Error> {
    let (value, is_stale) = answer.ok_or_else(|| queue_lookup::missing_queue(queue))?;
    Ok(value.filter(|_| !is_stale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_a_limit_of_events_and_of_bytes() {
        let check = |count: usize, length: usize, expected: &[usize]| {
            let text = "x".repeat(length);
            let mut events = (0..count).map(|_| NewEvent::new("t", &text));
            let lengths: Vec<usize> =
                std::iter::from_fn(|| Chunk::next(&mut events)).map(|chunk| chunk.0.len()).collect();
            assert_eq!(lengths, expected);
        };
        check(0, 1, &[]);
        check(MAX_EVENTS + 1, 1, &[MAX_EVENTS, 1]);
        check(3, MAX_BYTES / 2, &[2, 1]);
        check(2, 2 * MAX_BYTES, &[1, 1]);
    }

    #[test]
    fn only_the_first_array_keeps_its_nulls() {
        let mut events = [NewEvent::default(), NewEvent::default().data(Some("d"))].into_iter();
        let chunk = Chunk::next(&mut events).expect("two events");
        let [types, data, extra1, ..] = chunk.texts();
        assert_eq!((types, data, extra1), (vec![None, None], vec![None, Some("d")], vec![]));
    }
}
