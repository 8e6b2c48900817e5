//! The number and the order of messages.

use std::hash::{DefaultHasher, Hasher};

use fallible_iterator::FallibleIterator;

use crate::BoxError;
use crate::testbed::{SOURCE, Testbed};

/// The number of messages, and a hash of their payloads in order.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    count: u64,
    hash: DefaultHasher,
}

impl Messages {
    /// Reads the events of a queue's table.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub(super) fn of_table(testbed: &Testbed, table: &str) -> Result<Messages, BoxError> {
        let statement = format!("select ev_data from {table} order by ev_id");
        let mut client = testbed.client(SOURCE);
        let mut rows = client.query_raw::<_, &str, _>(&statement, [])?;
        let mut found = Messages::default();
        while let Some(row) = rows.next()? {
            found.add(row.try_get::<_, &str>(0)?.as_bytes());
        }
        Ok(found)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a message.
    pub(super) fn add(&mut self, payload: &[u8]) {
        self.count += 1;
        self.hash.write(payload);
        self.hash.write_usize(payload.len());
    }

    /// Fails unless the messages are these.
    ///
    /// # Errors
    ///
    /// When the number or the hash is another one.
    pub(super) fn require(&self, expected: &Messages) -> Result<(), BoxError> {
        if self.count != expected.count {
            return Err(format!("{} messages instead of {}", self.count, expected.count).into());
        }
        if self.hash.finish() != expected.hash.finish() {
            return Err("messages with other payloads, or in another order".into());
        }
        Ok(())
    }
}
