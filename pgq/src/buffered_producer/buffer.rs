//! The buffer: what is held, what is being written, and when to write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::send_error::Reason;
use super::trouble::Trouble;
use super::{ProducerStats, SendError};
use crate::{Error, OwnedEvent, RetryPolicy};

/// How much is held, and how long.
pub(super) struct Limits {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) delay: Duration,
    pub(super) retry: RetryPolicy,
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
    /// How many events somebody waits for.
    wanted: u64,
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
            wanted: 0,
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

    /// Takes an event; returns whether the writing thread has to know.
    pub(super) fn push(&mut self, event: OwnedEvent, now: Instant) -> Result<bool, SendError> {
        let size = event.size();
        if let Some(reason) = self.refusal(size) {
            return Err(SendError::new(event, reason));
        }
        let (was_empty, was_half_full) = (self.waiting.is_empty(), self.is_half_full());
        self.since.get_or_insert(now);
        self.waiting.push_back(event);
        self.bytes += size;
        self.sent += 1;
        Ok(was_empty || !was_half_full && self.is_half_full())
    }

    fn refusal(&self, size: usize) -> Option<Reason> {
        let full = self.held() >= self.limits.events || self.bytes.saturating_add(size) > self.limits.bytes;
        match &self.trouble {
            _ if self.closing || self.ended => Some(Reason::Closed),
            Some(trouble) if trouble.lasts => Some(Reason::Failed(trouble.error.clone())),
            // An event that is larger than the limit is taken alone.
            _ => (full && self.held() > 0).then_some(Reason::Full),
        }
    }

    /// Decides what to do next; an attempt begins with it.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if self.abandoned || self.closing && self.held() == 0 {
            return Step::End;
        }
        if self.held() == 0 {
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
        let waited_for = self.committed < self.wanted || self.closing;
        match &self.trouble {
            Some(_) if self.hurry => Due::Now,
            Some(trouble) => trouble.next.map_or(Due::Never, Due::At),
            None if waited_for || self.batch.is_some() || self.is_half_full() => Due::Now,
            None => {
                self.since.and_then(|since| since.checked_add(self.limits.delay)).map_or(Due::Never, Due::At)
            }
        }
    }

    /// While one half is written, the other takes more.
    fn is_half_full(&self) -> bool {
        self.waiting.len() >= self.limits.events.div_ceil(2) || self.bytes >= self.limits.bytes / 2
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
        let count = self.waiting.iter().take(most).take_while(within).count();
        self.waiting.drain(..count.max(1)).collect()
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

    /// Wants all that was sent so far to be written now.
    pub(super) fn want_all(&mut self) -> Goal {
        self.wanted = self.sent;
        self.hurry = true;
        Goal { sent: self.sent, attempts: self.attempts }
    }

    /// Tells what came of a wish, or nothing while that is not known.
    pub(super) fn outcome(&self, goal: Goal) -> Option<Result<(), Error>> {
        let trouble =
            self.trouble.as_ref().filter(|trouble| trouble.lasts && trouble.attempt > goal.attempts);
        match trouble {
            _ if self.committed >= goal.sent => Some(Ok(())),
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
        self.bytes = 0;
        let mut rest = self.batch.take().map(Arc::unwrap_or_clone).unwrap_or_default();
        rest.extend(self.waiting.drain(..));
        rest
    }

    pub(super) fn stats(&self) -> ProducerStats {
        ProducerStats {
            sent: self.sent,
            committed: self.committed,
            transactions: self.transactions,
            failed: self.failed,
            buffered: self.held(),
            buffered_bytes: self.bytes,
        }
    }

    fn held(&self) -> usize {
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
