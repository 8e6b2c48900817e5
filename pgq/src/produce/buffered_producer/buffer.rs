//! The buffer: what is held, what is being written, and when to write.

mod line;
mod refused;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbscript::Backoff;

use self::line::Line;
use self::refused::Refused;
use super::send_error::Reason;
use super::trouble::Trouble;
use super::{ProducerStats, SendError};
use crate::error::Error;
use crate::event::owned_event::OwnedEvent;

/// How much is held, and how long.
pub(super) struct Limits {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) delay: Duration,
    pub(super) retry: Backoff,
}

/// What the writing thread does next.
pub(super) enum Step {
    /// Tries to insert these, in one transaction.
    Write(Arc<Vec<OwnedEvent>>),
    /// Waits for a change, and no longer than this.
    Wait(Option<Duration>),
    End,
}

/// All that was sent until some moment, and the attempts made until then.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    sent: u64,
    attempts: u64,
}

pub(super) struct Buffer {
    queue: String,
    limits: Limits,
    waiting: VecDeque<OwnedEvent>,
    /// When the oldest of them was sent, or an older one.
    since: Option<Instant>,
    /// What was taken out to be written, until it is committed.
    batch: Option<Arc<Vec<OwnedEvent>>>,
    bytes: usize,
    /// How many of those that wait are written apart from the others: one of them is refused.
    suspects: usize,
    refused: Refused,
    /// Who waits for room.
    line: Line,
    /// How many events somebody waits for.
    wanted: u64,
    /// How many wait for them at this moment.
    wishes: usize,
    /// Whether to try again without delay.
    hurry: bool,
    attempts: u64,
    trouble: Option<Trouble>,
    closing: bool,
    abandoned: bool,
    ended: bool,
    sent: u64,
    committed: u64,
    transactions: u64,
    failed: u64,
}

impl Buffer {
    pub(super) fn new(queue: &str, limits: Limits) -> Buffer {
        Buffer {
            queue: queue.to_owned(),
            limits,
            waiting: VecDeque::new(),
            since: None,
            batch: None,
            bytes: 0,
            suspects: 0,
            refused: Refused::default(),
            line: Line::default(),
            wanted: 0,
            wishes: 0,
            hurry: false,
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

    /// Takes an event, of one that has a place in the line or of a newcomer; returns whether the writing thread has to
    /// know.
    pub(super) fn push(
        &mut self,
        event: OwnedEvent,
        place: Option<u64>,
        now: Instant,
    ) -> Result<bool, SendError> {
        let size = event.size();
        if let Some(reason) = self.refusal(size, place) {
            return Err(SendError::new(event, reason));
        }
        let (was_empty, was_half_full) = (self.waiting.is_empty(), self.is_half_full());
        self.since.get_or_insert(now);
        self.waiting.push_back(event);
        self.bytes += size;
        self.sent += 1;
        Ok(was_empty || !was_half_full && self.is_half_full())
    }

    fn refusal(&self, size: usize, place: Option<u64>) -> Option<Reason> {
        let full = self.held() >= self.limits.events || self.bytes.saturating_add(size) > self.limits.bytes;
        let is_passed_over = self.line.is_turn_of_another(place, self.transactions);
        match &self.trouble {
            _ if self.closing => Some(Reason::Closed),
            _ if self.ended => Some(Reason::Failed(self.unfinished("the producer has ended"))),
            Some(trouble) if trouble.lasts => Some(Reason::Failed(trouble.error.clone())),
            // An event that is larger than the limit is taken alone.
            _ if full && self.pending() > 0 || is_passed_over => Some(Reason::Full),
            _ if full => self.refused.error().map(Reason::Failed),
            _ => None,
        }
    }

    /// Takes a place behind those that wait for room. They are asked to be written now.
    pub(super) fn line_up(&mut self) -> u64 {
        self.line.join(self.transactions)
    }

    /// Gives up a place; returns whether others may have waited for that.
    pub(super) fn leave(&mut self, place: u64) -> bool {
        self.line.leave(place, self.transactions)
    }

    /// Decides what to do next; an attempt begins with it.
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
        let waited_for = self.settled() < self.wanted || self.closing || !self.line.is_empty();
        let goes_on = self.batch.is_some() || self.suspects > 0;
        match &self.trouble {
            Some(_) if self.hurry => Due::Now,
            Some(trouble) if self.wishes > 0 => trouble.soon.map_or(Due::Never, Due::At),
            Some(trouble) => trouble.next.map_or(Due::Never, Due::At),
            None if waited_for || goes_on || self.is_half_full() => Due::Now,
            None => {
                self.since.and_then(|since| since.checked_add(self.limits.delay)).map_or(Due::Never, Due::At)
            }
        }
    }

    /// While one half is written, the other takes more.
    fn is_half_full(&self) -> bool {
        self.waiting.len() >= self.limits.events.div_ceil(2)
            || self.bytes - self.refused.bytes() >= self.limits.bytes / 2
    }

    fn begin(&mut self) -> Arc<Vec<OwnedEvent>> {
        self.attempts += 1;
        self.hurry = false;
        if let Some(batch) = &self.batch {
            return batch.clone();
        }
        let batch = Arc::new(self.cut());
        self.since = self.since.filter(|_| !self.waiting.is_empty());
        self.batch.insert(batch).clone()
    }

    /// Takes out the oldest events, half of what may be held.
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
        self.trouble = Some(Trouble::new(error, self.attempts, before.as_ref(), &self.limits.retry, now));
    }

    /// Takes note that the server refuses what an event is, and not the queue: tries less at once until one event is
    /// left, which is set aside. Returns it, if that is so.
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

    /// Takes out what the server refuses.
    pub(super) fn take_refused(&mut self) -> Vec<OwnedEvent> {
        let bytes = self.refused.bytes();
        let events = self.refused.take();
        self.bytes -= bytes;
        events
    }

    /// Wants all that was sent so far to be written now.
    pub(super) fn want_all(&mut self) -> Goal {
        self.wanted = self.sent;
        self.hurry = true;
        self.wishes += 1;
        Goal { sent: self.sent, attempts: self.attempts }
    }

    /// Takes note that nobody waits for a wish any more.
    pub(super) fn forget_wish(&mut self) {
        self.wishes -= 1;
    }

    /// Returns the result of a wish, or nothing while it is not known.
    pub(super) fn outcome(&self, goal: Goal) -> Option<Result<(), Error>> {
        let trouble =
            self.trouble.as_ref().filter(|trouble| trouble.lasts && trouble.attempt > goal.attempts);
        match trouble {
            _ if self.settled() >= goal.sent => Some(self.refused.error().map_or(Ok(()), Err)),
            Some(trouble) => Some(Err(trouble.error.clone())),
            None if self.ended || self.abandoned => Some(Err(self.unfinished("the producer has ended"))),
            None => None,
        }
    }

    /// Makes the error of a wish that did not come true.
    pub(super) fn unfinished(&self, what: &str) -> Error {
        let error = Error::failed(what).on_queue(&self.queue);
        match &self.trouble {
            Some(trouble) => error.caused_by(trouble.error.clone()),
            None => error,
        }
    }

    /// Takes no more events, and ends when those that are there are written.
    pub(super) fn close(&mut self) -> Goal {
        self.closing = true;
        self.want_all()
    }

    /// Makes no further attempt.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Takes out what is not known to be committed.
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

    /// Counts the events that are committed or set aside.
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
