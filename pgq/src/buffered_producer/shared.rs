//! The buffer as threads share it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::buffer::{Buffer, Goal, Step};
use super::send_error::Reason;
use super::{ProducerStats, SendError};
use crate::{Error, OwnedEvent};

/// A row that is longer cannot be stored.
const LONGEST_EVENT: usize = 1_000_000_000;

pub(super) struct Shared {
    buffer: Mutex<Buffer>,
    /// There may be something to write.
    work: Condvar,
    /// An attempt has ended.
    done: Condvar,
    #[cfg(feature = "tokio")]
    pub(super) told: tokio::sync::Notify,
}

impl Shared {
    pub(super) fn new(buffer: Buffer) -> Shared {
        Shared {
            buffer: Mutex::new(buffer),
            work: Condvar::new(),
            done: Condvar::new(),
            #[cfg(feature = "tokio")]
            told: tokio::sync::Notify::new(),
        }
    }

    pub(super) fn try_send(&self, event: OwnedEvent) -> Result<(), SendError> {
        let event = checked(event)?;
        self.push(&mut self.lock(), event)
    }

    pub(super) fn send(&self, event: OwnedEvent, until: Option<Instant>) -> Result<(), SendError> {
        let mut event = checked(event)?;
        let mut buffer = self.lock();
        loop {
            match self.push(&mut buffer, event) {
                Err(error) if error.is_full() && !is_over(until) => event = error.into_event(),
                result => return result,
            }
            buffer = wait(&self.done, buffer, left(until));
        }
    }

    fn push(&self, buffer: &mut Buffer, event: OwnedEvent) -> Result<(), SendError> {
        if buffer.push(event, Instant::now())? {
            self.work.notify_one();
        }
        Ok(())
    }

    pub(super) fn flush(&self, patience: Duration) -> Result<(), Error> {
        let goal = self.want_all();
        self.wait_for(goal, patience)
    }

    /// Asks for an attempt now.
    pub(super) fn want_all(&self) -> Goal {
        let goal = self.lock().want_all();
        self.work.notify_one();
        goal
    }

    /// Takes no more events; what is there is written if that can be done in time.
    pub(super) fn close(&self, patience: Duration) -> Result<(), Error> {
        let goal = self.lock().close();
        self.tell();
        self.wait_for(goal, patience)
    }

    fn wait_for(&self, goal: Goal, patience: Duration) -> Result<(), Error> {
        let until = Instant::now().checked_add(patience);
        let mut buffer = self.lock();
        loop {
            match buffer.outcome(goal) {
                Some(outcome) => return outcome,
                None if is_over(until) => return Err(late(&buffer, patience)),
                None => buffer = wait(&self.done, buffer, left(until)),
            }
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn outcome(&self, goal: Goal) -> Option<Result<(), Error>> {
        self.lock().outcome(goal)
    }

    #[cfg(feature = "tokio")]
    pub(super) fn late(&self, patience: Duration) -> Error {
        late(&self.lock(), patience)
    }

    /// Returns what to insert next, or nothing at the end.
    pub(super) fn next_batch(&self) -> Option<Arc<Vec<OwnedEvent>>> {
        let mut buffer = self.lock();
        loop {
            match buffer.step(Instant::now()) {
                Step::Write(batch) => return Some(batch),
                Step::End => return None,
                Step::Wait(time) => buffer = wait(&self.work, buffer, time),
            }
        }
    }

    /// Takes note of what came of an attempt.
    pub(super) fn attempted(&self, result: &Result<(), Error>) {
        let mut buffer = self.lock();
        match result {
            Ok(()) => buffer.succeeded(),
            Err(error) => buffer.failed(error.clone(), Instant::now()),
        }
        drop(buffer);
        self.tell();
    }

    pub(super) fn abandon(&self) {
        self.lock().abandon();
        self.tell();
    }

    pub(super) fn end(&self) {
        self.lock().end();
        self.tell();
    }

    pub(super) fn take_rest(&self) -> Vec<OwnedEvent> {
        self.lock().take_rest()
    }

    pub(super) fn stats(&self) -> ProducerStats {
        self.lock().stats()
    }

    fn tell(&self) {
        self.work.notify_one();
        self.done.notify_all();
        #[cfg(feature = "tokio")]
        self.told.notify_waiters();
    }

    /// A panic leaves the buffer usable, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(
    changed: &Condvar,
    buffer: MutexGuard<'a, Buffer>,
    time: Option<Duration>,
) -> MutexGuard<'a, Buffer> {
    match time {
        None => changed.wait(buffer).unwrap_or_else(PoisonError::into_inner),
        Some(time) => changed.wait_timeout(buffer, time).unwrap_or_else(PoisonError::into_inner).0,
    }
}

fn is_over(until: Option<Instant>) -> bool {
    left(until).is_some_and(|left| left.is_zero())
}

fn left(until: Option<Instant>) -> Option<Duration> {
    until.map(|until| until.saturating_duration_since(Instant::now()))
}

fn late(buffer: &Buffer, patience: Duration) -> Error {
    buffer.unfinished(&format!("events were not committed within {:.1} s", patience.as_secs_f64()))
}

/// Refuses what no server could store, since it would be in the way of other events.
fn checked(event: OwnedEvent) -> Result<OwnedEvent, SendError> {
    let wrong = if event.texts().any(|text| text.contains('\0')) {
        "a text of the event has the character NUL, which PostgreSQL cannot store"
    } else if event.size() > LONGEST_EVENT {
        "the event is longer than PostgreSQL can store"
    } else {
        return Ok(event);
    };
    Err(SendError::new(event, Reason::Failed(Error::failed(wrong))))
}
