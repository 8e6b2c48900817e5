//! The loop of a producer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::{BoxError, Payload, now};

/// How many events, and how fast.
pub(crate) enum Pace {
    Count(u64),
    /// Events a second.
    Rate {
        rate: u64,
        count: u64,
    },
}

/// The task of a producer.
pub struct Production {
    from: u64,
    pace: Pace,
    per_transaction: u64,
    bytes: usize,
    log: Mutex<BufWriter<File>>,
}

impl Production {
    pub(crate) fn new(
        from: u64,
        pace: Pace,
        per_transaction: u64,
        bytes: usize,
        log: &Path,
    ) -> Result<Production, BoxError> {
        let log = Mutex::new(BufWriter::new(File::create(log)?));
        Ok(Production { from, pace, per_transaction, bytes, log })
    }

    /// Calls `insert` for each transaction with the numbers of its events, and logs the times. At a fixed rate, an event
    /// is due by the time that has passed since the start.
    ///
    /// # Errors
    ///
    /// Those of `insert`, and when the log cannot be written.
    pub fn run(&self, mut insert: impl FnMut(Range<u64>) -> Result<(), BoxError>) -> Result<(), BoxError> {
        let mut log = self.log.lock().map_err(|_| "a producer panicked")?;
        let (count, started) = (self.count(), Instant::now());
        let mut done = 0;
        while done < count {
            let next = (done + self.per_transaction).min(count);
            if let Pace::Rate { rate, .. } = self.pace {
                let due = started + Duration::from_secs_f64(next as f64 / rate as f64);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let (first, began) = (self.from + done, now());
            insert(first..self.from + next)?;
            writeln!(log, "{first} {} {began} {}", next - done, now())?;
            done = next;
        }
        Ok(log.flush()?)
    }

    /// Makes the data of events.
    pub fn payloads(&self, numbers: Range<u64>) -> impl Iterator<Item = Payload> {
        let bytes = self.bytes;
        numbers.map(move |number| Payload::new(number, bytes))
    }

    /// Makes the data of events as text.
    pub fn texts(&self, numbers: Range<u64>) -> impl Iterator<Item = String> {
        self.payloads(numbers).map(|payload| payload.text())
    }

    /// Returns whether a transaction has a single event.
    pub fn is_single(&self) -> bool {
        self.per_transaction == 1
    }

    pub(crate) fn finish(&self) -> Result<u64, BoxError> {
        Ok(self.count())
    }

    fn count(&self) -> u64 {
        match self.pace {
            Pace::Count(count) | Pace::Rate { count, .. } => count,
        }
    }
}
