//! The events of a buffered producer that are not committed, and when to write them.

mod refused_events;
mod wait_queue;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbscript::Backoff;

use self::refused_events::RefusedEvents;
use self::wait_queue::WaitQueue;
use super::failure_streak::FailureStreak;
use super::send_error::Reason;
use super::{ProducerStats, SendError};
use crate::error::{At, Error};
use crate::event::owned_event::OwnedEvent;

/// How many events are held, and for how long.
pub(super) struct BufferLimits {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) delay: Duration,
    pub(super) retry: Backoff,
}

/// The next step of the writing thread.
pub(super) enum Step {
    /// Inserts these events in one transaction.
    Write(Arc<Vec<OwnedEvent>>),
    /// Waits for a change, at most for this time.
    Wait(Option<Duration>),
    End,
}

/// The number of events that were sent, and of attempts that were made, when a flush was requested.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    sent: u64,
    attempts: u64,
}

/// The events that were sent and are not committed.
pub(super) struct PendingEvents {
    queue: String,
    limits: BufferLimits,
    waiting: VecDeque<OwnedEvent>,
    /// When the oldest waiting event was sent, or an event before it.
    since: Option<Instant>,
    /// The events that are being written, until they are committed.
    batch: Option<Arc<Vec<OwnedEvent>>>,
    bytes: usize,
    /// How many of the waiting events are written separately, because the server refuses one of them.
    suspects: usize,
    refused: RefusedEvents,
    /// The senders that wait for room.
    wait_queue: WaitQueue,
    /// How many of the sent events a flush covers.
    flush_up_to: u64,
    /// How many flushes wait.
    flushes: usize,
    /// Whether to retry without delay.
    retry_now: bool,
    attempts: u64,
    trouble: Option<FailureStreak>,
    closing: bool,
    abandoned: bool,
    ended: bool,
    sent: u64,
    committed: u64,
    transactions: u64,
    failed: u64,
}

impl PendingEvents {
    pub(super) fn new(queue: &str, limits: BufferLimits) -> PendingEvents {
        PendingEvents {
            queue: queue.to_owned(),
            limits,
            waiting: VecDeque::new(),
            since: None,
            batch: None,
            bytes: 0,
            suspects: 0,
            refused: RefusedEvents::default(),
            wait_queue: WaitQueue::default(),
            flush_up_to: 0,
            flushes: 0,
            retry_now: false,
            attempts: 0,
            trouble: None,
            closing: false,
            abandoned: false,
            ended: false,
            sent: 0,
            committed: 0,
            transactions: 0,
            failed: 0,
        }
    }

    /// Adds an event of a sender, which has a ticket if it has waited for room. Returns whether to wake the writing
    /// thread.
    pub(super) fn push(
        &mut self,
        event: OwnedEvent,
        ticket: Option<u64>,
        now: Instant,
    ) -> Result<bool, SendError> {
        let size = event.size();
        if let Some(reason) = self.refusal(size, ticket) {
            return Err(SendError::new(event, reason));
        }
        let (was_empty, was_half_full) = (self.waiting.is_empty(), self.is_half_full());
        self.since.get_or_insert(now);
        self.waiting.push_back(event);
        self.bytes += size;
        self.sent += 1;
        Ok(was_empty || !was_half_full && self.is_half_full())
    }

    fn refusal(&self, size: usize, ticket: Option<u64>) -> Option<Reason> {
        let full = self.held() >= self.limits.events || self.bytes.saturating_add(size) > self.limits.bytes;
        let is_passed_over = self.wait_queue.is_reserved_for_another(ticket, self.transactions);
        match &self.trouble {
            _ if self.closing => Some(Reason::Closed),
            _ if self.ended => Some(Reason::Failed(self.unfinished("the producer has ended"))),
            Some(trouble) if trouble.is_lasting => Some(Reason::Failed(trouble.error.clone())),
            // An event that is larger than the limit is accepted alone.
            _ if full && self.pending() > 0 || is_passed_over => Some(Reason::Full),
            _ if full => self.refused.error().map(Reason::Failed),
            _ => None,
        }
    }

    /// Adds a sender to those that wait for room; returns the number of its ticket. The events are written at once.
    pub(super) fn join_wait_queue(&mut self) -> u64 {
        self.wait_queue.join(self.transactions)
    }

    /// Returns a ticket; returns whether other senders may have waited for that.
    pub(super) fn leave(&mut self, ticket: u64) -> bool {
        self.wait_queue.leave(ticket, self.transactions)
    }

    /// Returns the next step. [`Step::Write`] starts an attempt.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if self.abandoned || self.closing && self.pending() == 0 {
            return Step::End;
        }
        if self.pending() == 0 {
            return Step::Wait(None);
        }
        match self.due() {
            Due::Now => Step::Write(self.begin()),
            Due::Never => Step::Wait(None),
            Due::At(time) if time <= now => Step::Write(self.begin()),
            Due::At(time) => Step::Wait(Some(time - now)),
        }
    }

    fn due(&self) -> Due {
        let is_waited_for = self.settled() < self.flush_up_to || self.closing || !self.wait_queue.is_empty();
        let is_unfinished = self.batch.is_some() || self.suspects > 0;
        match &self.trouble {
            Some(_) if self.retry_now => Due::Now,
            Some(trouble) if self.flushes > 0 => trouble.soon.map_or(Due::Never, Due::At),
            Some(trouble) => trouble.next.map_or(Due::Never, Due::At),
            None if is_waited_for || is_unfinished || self.is_half_full() => Due::Now,
            None => {
                self.since.and_then(|since| since.checked_add(self.limits.delay)).map_or(Due::Never, Due::At)
            }
        }
    }

    /// One half of the buffer fills while the other is written.
    fn is_half_full(&self) -> bool {
        self.waiting.len() >= self.limits.events.div_ceil(2)
            || self.bytes - self.refused.bytes() >= self.limits.bytes / 2
    }

    fn begin(&mut self) -> Arc<Vec<OwnedEvent>> {
        self.attempts += 1;
        self.retry_now = false;
        if let Some(batch) = &self.batch {
            return batch.clone();
        }
        let batch = Arc::new(self.cut());
        self.since = self.since.filter(|_| !self.waiting.is_empty());
        self.batch.insert(batch).clone()
    }

    /// Takes the oldest events, at most half of the limits.
    fn cut(&mut self) -> Vec<OwnedEvent> {
        let (most, mut bytes) = (self.limits.events.div_ceil(2), 0);
        let within = |event: &&OwnedEvent| {
            let fits = bytes < self.limits.bytes / 2;
            bytes += event.size();
            fits
        };
        let mut count = self.waiting.iter().take(most).take_while(within).count().max(1);
        if self.suspects > 0 {
            count = count.min(self.suspects);
            self.suspects -= count;
        }
        self.waiting.drain(..count).collect()
    }

    pub(super) fn succeeded(&mut self) {
        self.trouble = None;
        self.transactions += 1;
        if let Some(batch) = self.batch.take() {
            self.bytes -= batch.iter().map(OwnedEvent::size).sum::<usize>();
            self.committed += batch.len() as u64;
        }
    }

    pub(super) fn failed(&mut self, error: Error, now: Instant) {
        self.failed += 1;
        let before = self.trouble.take();
        self.trouble =
            Some(FailureStreak::new(error, self.attempts, before.as_ref(), &self.limits.retry, now));
    }

    /// Records that the server refuses an event of the batch. Halves the batch until one event is left, and keeps that
    /// event apart. Returns the error that names it.
    pub(super) fn refused(&mut self, error: &Error) -> Option<Error> {
        self.failed += 1;
        self.trouble = None;
        let mut batch = self.batch.take().map(Arc::unwrap_or_clone)?;
        if batch.len() == 1 {
            return batch.pop().map(|event| self.refused.put(event, error));
        }
        let rest = batch.split_off(batch.len() / 2);
        self.suspects += rest.len();
        rest.into_iter().rev().for_each(|event| self.waiting.push_front(event));
        self.batch = Some(Arc::new(batch));
        None
    }

    /// Takes the events that the server refuses.
    pub(super) fn take_refused(&mut self) -> Vec<OwnedEvent> {
        let bytes = self.refused.bytes();
        let events = self.refused.take();
        self.bytes -= bytes;
        events
    }

    /// Requests that all events sent so far are written at once.
    pub(super) fn request_flush(&mut self) -> Goal {
        self.flush_up_to = self.sent;
        self.retry_now = true;
        self.flushes += 1;
        Goal { sent: self.sent, attempts: self.attempts }
    }

    /// Records that a flush no longer waits.
    pub(super) fn cancel_flush(&mut self) {
        self.flushes -= 1;
    }

    /// Returns the result of a flush, or nothing while it is open.
    pub(super) fn outcome(&self, goal: Goal) -> Option<Result<(), Error>> {
        let trouble =
            self.trouble.as_ref().filter(|trouble| trouble.is_lasting && trouble.attempt > goal.attempts);
        match trouble {
            _ if self.settled() >= goal.sent => Some(self.refused.error().map_or(Ok(()), Err)),
            Some(trouble) => Some(Err(trouble.error.clone())),
            None if self.ended || self.abandoned => Some(Err(self.unfinished("the producer has ended"))),
            None => None,
        }
    }

    /// Makes the error of a flush that has not succeeded.
    pub(super) fn unfinished(&self, what: &str) -> Error {
        let at = At::queue(&self.queue);
        match &self.trouble {
            Some(trouble) => at.failed(what, trouble.error.clone()),
            None => at.failure(what),
        }
    }

    /// Accepts no more events; the writing thread ends when all are written.
    pub(super) fn close(&mut self) -> Goal {
        self.closing = true;
        self.request_flush()
    }

    /// Makes no further attempts.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Takes all events that may not be committed.
    pub(super) fn take_rest(&mut self) -> Vec<OwnedEvent> {
        (self.bytes, self.suspects) = (0, 0);
        let mut rest = self.refused.take();
        rest.extend(self.batch.take().map(Arc::unwrap_or_clone).unwrap_or_default());
        rest.extend(self.waiting.drain(..));
        rest
    }

    pub(super) fn stats(&self) -> ProducerStats {
        ProducerStats {
            sent: self.sent,
            committed: self.committed,
            transactions: self.transactions,
            failed: self.failed,
            refused: self.refused.len(),
            buffered: self.held(),
            buffered_bytes: self.bytes,
        }
    }

    fn held(&self) -> usize {
        self.refused.len() + self.pending()
    }

    /// Counts the events that are committed or refused.
    fn settled(&self) -> u64 {
        self.committed + self.refused.total()
    }

    fn pending(&self) -> usize {
        self.waiting.len() + self.batch.as_ref().map_or(0, |batch| batch.len())
    }
}

/// When to write.
enum Due {
    Now,
    At(Instant),
    Never,
}

#[cfg(test)]
mod tests;
