//! The loop of a producer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::{BoxError, Payload, now};

/// How long after the end of its time a producer still inserts events.
const LATE: Duration = Duration::from_millis(100);

/// How many events, and how fast.
pub(crate) enum Pace {
    Count(u64),
    /// Events a second, for some seconds.
    Rate {
        rate: u64,
        seconds: u64,
    },
}

/// What a producer has done.
#[derive(Clone, Copy, Default)]
pub(crate) struct Produced {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

/// The task of a producer.
pub struct Production {
    from: u64,
    pace: Pace,
    per_transaction: u64,
    bytes: usize,
    log: Mutex<BufWriter<File>>,
    produced: Mutex<Produced>,
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
        Ok(Production { from, pace, per_transaction, bytes, log, produced: Mutex::default() })
    }

    /// Calls `insert` for each transaction with the numbers of its events, and logs the times. At a fixed rate, an event
    /// is due by the time that has passed since the start, and events that are not inserted when the time is over are
    /// left out.
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
            if let Pace::Rate { rate, seconds } = self.pace {
                if started.elapsed() > Duration::from_secs(seconds) + LATE {
                    break;
                }
                let due = started + Duration::from_secs_f64(next as f64 / rate as f64);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let (first, began) = (self.from + done, now());
            insert(first..self.from + next)?;
            writeln!(log, "{first} {} {began} {}", next - done, now())?;
            done = next;
        }
        *self.produced.lock().map_err(|_| "a producer panicked")? =
            Produced { count: done, time: started.elapsed() };
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

    pub(crate) fn finish(&self) -> Result<Produced, BoxError> {
        Ok(*self.produced.lock().map_err(|_| "a producer panicked")?)
    }

    fn count(&self) -> u64 {
        match self.pace {
            Pace::Count(count) => count,
            Pace::Rate { rate, seconds } => rate * seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_that_is_too_slow_for_its_rate_stops_after_its_time() {
        let log = std::env::temp_dir().join(format!("field-production-{}", std::process::id()));
        let pace = Pace::Rate { rate: 1_000, seconds: 1 };
        let production = Production::new(0, pace, 1, 75, &log).expect("the folder is writable");
        let mut inserted = 0;
        let insert = |numbers: Range<u64>| {
            inserted = numbers.end;
            // At least 10 ms for each event that is due after a millisecond.
            thread::sleep(Duration::from_millis(10));
            Ok(())
        };
        production.run(insert).expect("nothing fails");
        let lines = std::fs::read_to_string(&log).expect("the log exists").lines().count();
        std::fs::remove_file(&log).expect("the log exists");
        let produced = production.finish().expect("no thread has panicked");
        assert_eq!((produced.count, lines as u64), (inserted, inserted));
        assert!(inserted > 0 && inserted <= 111, "{inserted} of 1,000 events were inserted");
    }
}
