//! Detects when the next retry event, delayed event or scheduled event is due.

use std::time::{Duration, Instant};

use log::debug;
use postgres::{Client, SimpleQueryMessage};

use crate::sql::due_events::DueStores;

/// How often the earliest time is read while other transactions end.
const READ: Duration = Duration::from_millis(500);
/// After a failed read, such as one without the right to read a table, the periodic deliveries remain.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// The earliest time of a retry event, a delayed event or a scheduled event, in seconds of the server's clock.
///
/// A transaction schedules such an event. While no transaction has ended since the last read, the time is
/// in memory, and a round sends nothing.
#[derive(Default)]
pub(super) struct RetryWatch {
    /// Whether the tables were read.
    is_read: bool,
    /// Whether transactions have ended since then.
    stale: bool,
    next_read: Option<Instant>,
    earliest: Option<f64>,
    stores: Option<DueStores>,
    stores_read: Option<Instant>,
}

impl RetryWatch {
    /// Returns whether an event is due at `now`. Returns that once; the next answer requires that another
    /// transaction has ended, such as the one that delivers events.
    ///
    /// `changed` is whether transactions have ended since the last call.
    pub(super) fn is_due(&mut self, client: &mut Client, changed: bool, now: f64) -> bool {
        self.stale |= changed || !self.is_read;
        if self.stale && self.next_read.is_none_or(|at| at <= Instant::now()) {
            self.read(client);
        }
        let is_due = self.earliest.is_some_and(|at| at <= now);
        if is_due {
            self.earliest = None;
        }
        is_due
    }

    fn read(&mut self, client: &mut Client) {
        let answer = self.earliest(client);
        let pause = if answer.is_ok() { READ } else { AFTER_FAILURE };
        self.next_read = Some(Instant::now() + pause);
        (self.is_read, self.stale) = (true, false);
        match answer {
            Ok(earliest) => self.earliest = earliest,
            Err(error) => {
                self.stores = None;
                debug!("cannot read when the next event is due: {}", dbscript::describe(&error))
            }
        }
    }

    fn earliest(&mut self, client: &mut Client) -> Result<Option<f64>, postgres::Error> {
        // Delayed events and schedules may be installed while the ticker runs.
        let stores = match self.stores.take() {
            Some(stores) if self.stores_read.is_some_and(|at| at.elapsed() < AFTER_FAILURE) => stores,
            _ => {
                self.stores_read = Some(Instant::now());
                DueStores::read(client)?
            }
        };
        let earliest = self.stores.insert(stores).earliest();
        Ok(client.simple_query(&earliest)?.iter().find_map(first_number))
    }
}

fn first_number(message: &SimpleQueryMessage) -> Option<f64> {
    match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }
}
