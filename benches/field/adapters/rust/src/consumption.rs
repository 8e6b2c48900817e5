//! The handling of an event by a consumer.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::{BoxError, lines, now};

const FLUSH: Duration = Duration::from_millis(50);

/// The task of a consumer.
pub struct Consumption {
    /// The number of the consumer.
    pub consumer: u32,
    /// How many events are handled at once.
    pub workers: usize,
    /// Whether handlers write into the table `handled`.
    pub into_table: bool,
    /// The handler.
    pub handling: Arc<Handling>,
}

/// The handler of all events, which logs and counts them.
pub struct Handling {
    log: Arc<Mutex<BufWriter<File>>>,
    work: Duration,
    until: Option<u64>,
    time: Option<Duration>,
    poison: Option<u64>,
    count: AtomicU64,
    failed: AtomicU64,
    complete: Notify,
    started: Instant,
}

/// The failure of the event that `--poison` names.
#[derive(Debug)]
pub struct Poisoned;

impl fmt::Display for Poisoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this event always fails")
    }
}

impl Error for Poisoned {}

impl Handling {
    pub(crate) fn new(
        log: &Path,
        work: Duration,
        until: Option<u64>,
        time: Option<Duration>,
        poison: Option<u64>,
    ) -> Result<Handling, BoxError> {
        let file = File::options().append(true).create(true).open(log)?;
        let log = Arc::new(Mutex::new(BufWriter::new(file)));
        flush_again_and_again(Arc::clone(&log));
        Ok(Handling {
            log,
            work,
            until,
            time,
            poison,
            count: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            complete: Notify::new(),
            started: Instant::now(),
        })
    }

    /// Handles an event, and sleeps for the time of the work.
    ///
    /// # Errors
    ///
    /// When the event is the one that fails.
    pub fn handle(&self, number: u64) -> Result<(), Poisoned> {
        self.begin(number)?;
        if !self.work.is_zero() {
            thread::sleep(self.work);
        }
        self.done();
        Ok(())
    }

    /// As [`handle`](Handling::handle), without blocking. The timer of `tokio` would round up to the next millisecond.
    ///
    /// # Errors
    ///
    /// As [`handle`](Handling::handle).
    pub async fn handle_async(&self, number: u64) -> Result<(), Poisoned> {
        self.begin(number)?;
        if !self.work.is_zero() {
            Delay::new(self.work).await;
        }
        self.done();
        Ok(())
    }

    fn begin(&self, number: u64) -> Result<(), Poisoned> {
        // An error of the disk shows in `finish`.
        let _ = writeln!(lock(&self.log), "{number} {}", now());
        if self.poison == Some(number) {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return Err(Poisoned);
        }
        Ok(())
    }

    fn done(&self) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if self.until.is_some_and(|until| count >= until) {
            self.complete.notify_one();
        }
    }

    /// Returns whether all events were handled.
    pub fn is_complete(&self) -> bool {
        self.until.is_some_and(|until| self.count.load(Ordering::Relaxed) >= until)
    }

    /// Waits until all events were handled, the time is over, or SIGTERM arrives.
    pub async fn end(&self) {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        let time = self.time.unwrap_or(Duration::from_secs(86_400));
        tokio::select! {
            () = self.complete.notified() => {}
            _ = terminate.recv() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// As [`end`](Handling::end), for code that blocks.
    ///
    /// # Errors
    ///
    /// When there is no runtime.
    pub fn wait_for_end(&self) -> Result<(), BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.end());
        Ok(())
    }

    pub(crate) fn finish(&self) -> Result<(), BoxError> {
        lock(&self.log).flush()?;
        let [count, failed] = [&self.count, &self.failed].map(|number| number.load(Ordering::Relaxed));
        lines::consumed(count, failed, self.started.elapsed())
    }
}

/// Flushes the log, so that little of it is lost when the process is killed.
fn flush_again_and_again(log: Arc<Mutex<BufWriter<File>>>) {
    thread::spawn(move || {
        loop {
            thread::sleep(FLUSH);
            // An error of the disk shows in `finish`.
            let _ = lock(&log).flush();
        }
    });
}

fn lock(log: &Mutex<BufWriter<File>>) -> std::sync::MutexGuard<'_, BufWriter<File>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
