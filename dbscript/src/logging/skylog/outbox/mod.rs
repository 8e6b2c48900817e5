//! A bounded queue in front of a receiver, emptied by a thread of its own.

mod complaint;
pub(crate) mod log_database;
#[cfg(test)]
mod tests;
pub(crate) mod udp;
pub(crate) mod unix_socket;

use crate::backoff::Backoff;
use crate::logging::backlog::Backlog;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that may wait for a receiver.
const LIMIT: usize = 1024 * 1024;
/// What the queue itself needs for a message, roughly.
const OVERHEAD: usize = 64;
/// The delays before further attempts to deliver a message.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(500), Duration::from_secs(30));

thread_local! {
    /// Whether this thread empties a queue: what it logs itself must not get into one.
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

/// A message that knows its size in bytes.
pub(crate) trait Message: Send + 'static {
    fn size(&self) -> usize;
}

impl Message for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }
}

/// Where messages are delivered to. Everything here happens on the queue's thread and may block.
pub(crate) trait Receiver<M>: Send + 'static {
    /// Tries to deliver a message.
    fn deliver(&mut self, message: &M) -> DeliveryResult;

    /// Makes the message which tells that `count` messages were lost.
    fn lost(&mut self, _count: u64) -> Option<M> {
        None
    }

    /// Returns what the receiver holds back, or when it will be due; with `now` it is due at once.
    fn held(&mut self, _now: bool) -> Held<M> {
        Held::Nothing
    }
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DeliveryResult {
    Done,
    /// This message cannot be delivered; others may.
    Refused,
    /// Nothing can be delivered at present; the same message is tried again after a pause.
    Away,
}

pub(crate) enum Held<M> {
    Nothing,
    Until(Instant),
    Due(M),
}

/// Messages on their way to a receiver that may be slow or away.
///
/// Callers never wait. At most a megabyte is kept; the oldest messages make room for new ones, so that the
/// receiver that comes back gets the latest. The thread starts with the first message, after a daemon's fork.
pub(crate) struct Outbox<M: Message> {
    name: &'static str,
    shared: Arc<Shared<M>>,
    receiver: Arc<Mutex<dyn Receiver<M>>>,
}

struct Shared<M> {
    state: Mutex<State<M>>,
    changed: Condvar,
}

struct State<M> {
    queue: VecDeque<M>,
    bytes: usize,
    lost: u64,
    /// Whether the last delivery was done.
    delivers: bool,
    started: bool,
    woken: bool,
    flushing: bool,
    /// Whether the thread waits, for messages or for the receiver to come back.
    settled: bool,
    closed: bool,
}

/// A message, and how many it stands for.
struct Parcel<M> {
    message: M,
    count: u64,
}

impl<M: Message> Outbox<M> {
    /// Makes an empty one; `name` is the thread's.
    pub(crate) fn new(name: &'static str, receiver: impl Receiver<M>) -> Outbox<M> {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            lost: 0,
            delivers: false,
            started: false,
            woken: false,
            flushing: false,
            settled: true,
            closed: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        Outbox { name, shared, receiver: Arc::new(Mutex::new(receiver)) }
    }

    /// Puts a message into the queue.
    pub(crate) fn push(&self, message: M) {
        if !DELIVERS.get() {
            let mut state = self.shared.lock();
            state.push(message);
            self.notify(state);
        }
    }

    /// Lets the receiver look at what it holds back.
    pub(crate) fn wake(&self) {
        if !DELIVERS.get() {
            let mut state = self.shared.lock();
            state.woken = true;
            self.notify(state);
        }
    }

    /// Starts the thread, if need be. Where none can be started, the next message tries again.
    fn notify(&self, mut state: MutexGuard<'_, State<M>>) {
        if !state.started {
            let (shared, receiver) = (self.shared.clone(), self.receiver.clone());
            let run = move || {
                DELIVERS.set(true);
                shared.run(&mut *receiver.lock().unwrap_or_else(PoisonError::into_inner));
            };
            state.started = thread::Builder::new().name(self.name.to_owned()).spawn(run).is_ok();
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl<M: Message> Backlog for Outbox<M> {
    fn hurry(&self) {
        let mut state = self.shared.lock();
        if state.started && !DELIVERS.get() {
            state.flushing = true;
            state.settled = false;
            self.shared.changed.notify_all();
        }
    }

    fn wait(&self, until: Instant) {
        let state = self.shared.lock();
        if state.flushing && !DELIVERS.get() {
            let limit = until.saturating_duration_since(Instant::now());
            self.shared.wait(state, limit, |state| !state.settled).flushing = false;
        }
    }
}

impl<M: Message> Drop for Outbox<M> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl<M: Message> State<M> {
    fn push(&mut self, message: M) {
        self.bytes += message.size() + OVERHEAD;
        self.queue.push_back(message);
        while self.bytes > LIMIT && self.pop().is_some() {
            self.lost += 1;
        }
    }

    fn pop(&mut self) -> Option<M> {
        let message = self.queue.pop_front()?;
        self.bytes -= message.size() + OVERHEAD;
        Some(message)
    }
}

impl<M: Message> Shared<M> {
    fn run(&self, receiver: &mut dyn Receiver<M>) {
        while let Some(parcel) = self.next(receiver) {
            self.deliver(receiver, &parcel);
        }
    }

    /// Waits for something to deliver; none at the end.
    fn next(&self, receiver: &mut dyn Receiver<M>) -> Option<Parcel<M>> {
        let mut state = self.lock();
        while !state.closed {
            // What is lost can be told only to a receiver that is back.
            if state.lost > 0 && state.delivers {
                let count = std::mem::take(&mut state.lost);
                if let Some(message) = receiver.lost(count) {
                    return Some(Parcel { message, count });
                }
            }
            if let Some(message) = state.pop() {
                return Some(Parcel { message, count: 1 });
            }
            state.woken = false;
            let wait = match receiver.held(state.flushing) {
                Held::Due(message) => return Some(Parcel { message, count: 1 }),
                Held::Until(due) => due.saturating_duration_since(Instant::now()),
                Held::Nothing => Duration::MAX,
            };
            state = self.settle(state, wait, |state| state.queue.is_empty() && !state.woken);
        }
        None
    }

    /// Delivers a message, however long that takes.
    fn deliver(&self, receiver: &mut dyn Receiver<M>, parcel: &Parcel<M>) {
        for attempts in 0.. {
            let delivery = receiver.deliver(&parcel.message);
            let mut state = self.lock();
            state.delivers = delivery == DeliveryResult::Done;
            match delivery {
                DeliveryResult::Done => return,
                DeliveryResult::Refused => {
                    state.lost += parcel.count;
                    return;
                }
                DeliveryResult::Away => {}
            }
            if self.settle(state, BACKOFF.delay(attempts), |_| true).closed {
                return;
            }
        }
    }

    /// Waits while there is nothing to do, for at most `limit`; a flush ends it.
    fn settle<'a>(
        &self,
        mut state: MutexGuard<'a, State<M>>,
        limit: Duration,
        idle: impl Fn(&State<M>) -> bool,
    ) -> MutexGuard<'a, State<M>> {
        state.settled = true;
        self.changed.notify_all();
        self.wait(state, limit, |state| state.settled && !state.closed && idle(state))
    }
}

impl<M> Shared<M> {
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State<M>>,
        limit: Duration,
        condition: impl Fn(&State<M>) -> bool,
    ) -> MutexGuard<'a, State<M>> {
        let waited = self.changed.wait_timeout_while(state, limit, |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// A panic elsewhere leaves the queue usable, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
