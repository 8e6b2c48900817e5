//! The pending events, shared between the senders and the writing thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::failure_streak::may_be_one_event;
use super::pending_events::{Goal, PendingEvents, Step};
use super::send_error::Reason;
use super::{ProducerStats, SendError};
use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// The size of an event that PostgreSQL can store, in bytes.
const LONGEST_EVENT: usize = 1_000_000_000;

/// The result of an attempt to write a batch.
pub(super) enum WriteOutcome {
    Done,
    Failed(Error),
    /// The server refuses one of the events; the error names it, once it is found.
    Refused(Option<Error>),
}

pub(super) struct Shared {
    buffer: Mutex<PendingEvents>,
    /// Notified when events may have to be written.
    work: Condvar,
    /// Notified when an attempt has ended.
    done: Condvar,
    #[cfg(feature = "tokio")]
    pub(super) changed: tokio::sync::Notify,
}

impl Shared {
    pub(super) fn new(buffer: PendingEvents) -> Shared {
        Shared {
            buffer: Mutex::new(buffer),
            work: Condvar::new(),
            done: Condvar::new(),
            #[cfg(feature = "tokio")]
            changed: tokio::sync::Notify::new(),
        }
    }

    pub(super) fn try_send(&self, event: OwnedEvent) -> Result<(), SendError> {
        let event = checked(event)?;
        self.push(&mut self.lock(), event, None)
    }

    /// As [`try_send`](Shared::try_send), for a sender that may have waited.
    #[cfg(feature = "tokio")]
    pub(super) fn try_send_from(
        &self,
        event: OwnedEvent,
        ticket: Option<&WaitTicket<'_>>,
    ) -> Result<(), SendError> {
        let event = checked(event)?;
        self.push(&mut self.lock(), event, ticket)
    }

    /// Adds a sender to those that wait for room.
    #[cfg(feature = "tokio")]
    pub(super) fn join_wait_queue(&self) -> WaitTicket<'_> {
        self.ticket(&mut self.lock())
    }

    fn ticket(&self, buffer: &mut PendingEvents) -> WaitTicket<'_> {
        self.work.notify_one();
        WaitTicket { shared: self, number: buffer.join_wait_queue() }
    }

    pub(super) fn leave(&self, ticket: u64) {
        let others_may_go = self.lock().leave(ticket);
        if others_may_go {
            self.notify();
        }
    }

    pub(super) fn send(&self, event: OwnedEvent, until: Option<Instant>) -> Result<(), SendError> {
        let mut event = checked(event)?;
        // Dropped after the guard, since dropping a ticket takes the lock.
        let mut ticket = None;
        let mut buffer = self.lock();
        loop {
            match self.push(&mut buffer, event, ticket.as_ref()) {
                Err(error) if error.is_full() && !is_over(until) => event = error.into_event(),
                result => return result,
            }
            ticket.get_or_insert_with(|| self.ticket(&mut buffer));
            buffer = wait(&self.done, buffer, left(until));
        }
    }

    fn push(
        &self,
        buffer: &mut PendingEvents,
        event: OwnedEvent,
        ticket: Option<&WaitTicket<'_>>,
    ) -> Result<(), SendError> {
        if buffer.push(event, ticket.map(|ticket| ticket.number), Instant::now())? {
            self.work.notify_one();
        }
        Ok(())
    }

    pub(super) fn flush(&self, patience: Duration) -> Result<(), Error> {
        let ticket = self.request_flush();
        self.wait_for(ticket.goal, patience)
    }

    /// Requests an attempt at once.
    pub(super) fn request_flush(&self) -> FlushTicket<'_> {
        let goal = self.lock().request_flush();
        self.work.notify_one();
        FlushTicket { shared: self, goal }
    }

    pub(super) fn cancel_flush(&self) {
        self.lock().cancel_flush();
    }

    /// Accepts no more events, and waits until all are written.
    pub(super) fn close(&self, patience: Duration) -> Result<(), Error> {
        let ticket = FlushTicket { shared: self, goal: self.lock().close() };
        self.notify();
        self.wait_for(ticket.goal, patience)
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

    /// Waits for events to insert; returns nothing at the end.
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

    /// Records the result of an attempt.
    pub(super) fn attempted(&self, result: Result<(), Error>) -> WriteOutcome {
        let mut buffer = self.lock();
        let attempt = match result {
            Ok(()) => {
                buffer.succeeded();
                WriteOutcome::Done
            }
            Err(error) if may_be_one_event(&error) => WriteOutcome::Refused(buffer.refused(&error)),
            Err(error) => {
                buffer.failed(error.clone(), Instant::now());
                WriteOutcome::Failed(error)
            }
        };
        drop(buffer);
        self.notify();
        attempt
    }

    pub(super) fn take_refused(&self) -> Vec<OwnedEvent> {
        let events = self.lock().take_refused();
        self.notify();
        events
    }

    pub(super) fn abandon(&self) {
        self.lock().abandon();
        self.notify();
    }

    pub(super) fn end(&self) {
        self.lock().end();
        self.notify();
    }

    pub(super) fn take_rest(&self) -> Vec<OwnedEvent> {
        self.lock().take_rest()
    }

    pub(super) fn stats(&self) -> ProducerStats {
        self.lock().stats()
    }

    fn notify(&self) {
        self.work.notify_one();
        self.done.notify_all();
        #[cfg(feature = "tokio")]
        self.changed.notify_waiters();
    }

    /// A panic elsewhere leaves the events usable, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, PendingEvents> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(
    changed: &Condvar,
    buffer: MutexGuard<'a, PendingEvents>,
    time: Option<Duration>,
) -> MutexGuard<'a, PendingEvents> {
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

fn late(buffer: &PendingEvents, patience: Duration) -> Error {
    buffer.unfinished(&format!("events were not committed within {:.1} s", patience.as_secs_f64()))
}

/// The first time that PostgreSQL can store, 24 November 4714 BC, in seconds since 1970. The last one is later than any
/// `DateTime`.
const FIRST_TIME: i64 = -210_866_803_200;

/// Refuses events that no server can store.
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

/// The place of a sender among those that wait for room; dropping it gives up the place.
pub(super) struct WaitTicket<'a> {
    pub(super) shared: &'a Shared,
    pub(super) number: u64,
}

impl Drop for WaitTicket<'_> {
    fn drop(&mut self) {
        self.shared.leave(self.number);
    }
}

/// A flush that waits. While there is one, the delay between attempts stays short.
pub(super) struct FlushTicket<'a> {
    pub(super) shared: &'a Shared,
    pub(super) goal: Goal,
}

impl Drop for FlushTicket<'_> {
    fn drop(&mut self) {
        self.shared.cancel_flush();
    }
}
