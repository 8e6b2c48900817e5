//! The buffer as threads share it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::buffer::{Buffer, Goal, Step};
use super::send_error::Reason;
use super::trouble::is_of_an_event;
use super::{ProducerStats, SendError};
use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// A row that is longer cannot be stored.
const LONGEST_EVENT: usize = 1_000_000_000;

/// What came of an attempt.
pub(super) enum Attempt {
    Done,
    Failed(Error),
    /// One of the events is at fault: this one, when it is known.
    Refused(Option<Error>),
}

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
        self.push(&mut self.lock(), event, None)
    }

    /// As [`try_send`](Shared::try_send), from a place in the line.
    #[cfg(feature = "tokio")]
    pub(super) fn try_send_from(
        &self,
        event: OwnedEvent,
        place: Option<&Place<'_>>,
    ) -> Result<(), SendError> {
        let event = checked(event)?;
        self.push(&mut self.lock(), event, place)
    }

    /// Takes a place in the line of those that wait for room.
    #[cfg(feature = "tokio")]
    pub(super) fn line_up(&self) -> Place<'_> {
        self.place(&mut self.lock())
    }

    fn place(&self, buffer: &mut Buffer) -> Place<'_> {
        self.work.notify_one();
        Place { shared: self, number: buffer.line_up() }
    }

    pub(super) fn leave(&self, place: u64) {
        let others_may_go = self.lock().leave(place);
        if others_may_go {
            self.tell();
        }
    }

    pub(super) fn send(&self, event: OwnedEvent, until: Option<Instant>) -> Result<(), SendError> {
        let mut event = checked(event)?;
        // Given up after the lock is.
        let mut place = None;
        let mut buffer = self.lock();
        loop {
            match self.push(&mut buffer, event, place.as_ref()) {
                Err(error) if error.is_full() && !is_over(until) => event = error.into_event(),
                result => return result,
            }
            place.get_or_insert_with(|| self.place(&mut buffer));
            buffer = wait(&self.done, buffer, left(until));
        }
    }

    fn push(
        &self,
        buffer: &mut Buffer,
        event: OwnedEvent,
        place: Option<&Place<'_>>,
    ) -> Result<(), SendError> {
        if buffer.push(event, place.map(|place| place.number), Instant::now())? {
            self.work.notify_one();
        }
        Ok(())
    }

    pub(super) fn flush(&self, patience: Duration) -> Result<(), Error> {
        let wish = self.want_all();
        self.wait_for(wish.goal, patience)
    }

    /// Asks for an attempt now.
    pub(super) fn want_all(&self) -> Wish<'_> {
        let goal = self.lock().want_all();
        self.work.notify_one();
        Wish { shared: self, goal }
    }

    pub(super) fn forget_wish(&self) {
        self.lock().forget_wish();
    }

    /// Takes no more events; what is there is written if that can be done in time.
    pub(super) fn close(&self, patience: Duration) -> Result<(), Error> {
        let wish = Wish { shared: self, goal: self.lock().close() };
        self.tell();
        self.wait_for(wish.goal, patience)
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
    pub(super) fn attempted(&self, result: Result<(), Error>) -> Attempt {
        let mut buffer = self.lock();
        let attempt = match result {
            Ok(()) => {
                buffer.succeeded();
                Attempt::Done
            }
            Err(error) if is_of_an_event(&error) => Attempt::Refused(buffer.refused(&error)),
            Err(error) => {
                buffer.failed(error.clone(), Instant::now());
                Attempt::Failed(error)
            }
        };
        drop(buffer);
        self.tell();
        attempt
    }

    pub(super) fn take_refused(&self) -> Vec<OwnedEvent> {
        let events = self.lock().take_refused();
        self.tell();
        events
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

/// The first moment of PostgreSQL's timestamps, 24 November of the year 4714 before Christ, in seconds since 1970. The
/// last one is behind all that `DateTime` knows.
const FIRST_TIME: i64 = -210_866_803_200;

/// Refuses what no server could store, since it would be in the way of other events.
fn checked(event: OwnedEvent) -> Result<OwnedEvent, SendError> {
    let wrong = if event.texts().any(|text| text.contains('\0')) {
        "a text of the event has the character NUL, which PostgreSQL cannot store"
    } else if event.size() > LONGEST_EVENT {
        "the event is longer than PostgreSQL can store"
    } else if event.as_new_event().time.is_some_and(|time| time.timestamp() < FIRST_TIME) {
        "the event's time is before PostgreSQL's first"
    } else {
        return Ok(event);
    };
    Err(SendError::new(event, Reason::Failed(Error::failed(wrong))))
}

/// A place in the line of those that wait for room, given up when dropped.
pub(super) struct Place<'a> {
    pub(super) shared: &'a Shared,
    pub(super) number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.leave(self.number);
    }
}

/// A wish that somebody waits for; while there is one, attempts do not wait for long.
pub(super) struct Wish<'a> {
    pub(super) shared: &'a Shared,
    pub(super) goal: Goal,
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        self.shared.forget_wish();
    }
}
