//! Detects when the next retry event is due.

use std::time::{Duration, Instant};

use log::debug;
use postgres::{Client, SimpleQueryMessage};

use crate::sql::ticker::PATIENCE;

/// How often the earliest retry is read while other transactions end.
const READ: Duration = Duration::from_millis(500);
/// After a failed read, such as one without the right to read the table, the periodic retries remain.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// The earliest time of a retry event, in seconds of the server's clock.
///
/// An event is scheduled for a retry by a transaction. While no transaction has ended since the last read, the time is
/// in memory, and a round sends nothing.
#[derive(Default)]
pub(super) struct RetryWatch {
    /// Whether the table was read.
    is_read: bool,
    /// Whether transactions have ended since then.
    stale: bool,
    next_read: Option<Instant>,
    earliest: Option<f64>,
}

/// Makes the statements that return the earliest time of a retry event, in seconds.
fn earliest() -> String {
    format!(
        "{PATIENCE}; select extract(epoch from ev_retry_after)::pg_catalog.float8 from pgq.retry_queue \
         order by ev_retry_after limit 1"
    )
}

impl RetryWatch {
    /// Returns whether a retry event is due at `now`. Returns that once; the next answer requires that another
    /// transaction has ended, such as the one that puts events back.
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
        let answer = client.simple_query(&earliest());
        let pause = if answer.is_ok() { READ } else { AFTER_FAILURE };
        self.next_read = Some(Instant::now() + pause);
        (self.is_read, self.stale) = (true, false);
        match answer {
            Ok(answer) => self.earliest = answer.iter().find_map(first_number),
            Err(error) => {
                debug!("cannot read when the next retry event is due: {}", dbscript::describe(&error))
            }
        }
    }
}

fn first_number(message: &SimpleQueryMessage) -> Option<f64> {
    match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }
}
