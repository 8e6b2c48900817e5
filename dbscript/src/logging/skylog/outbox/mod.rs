//! Outboxes: bounded queues of messages, each with a thread that delivers to a receiver.

pub(crate) mod log_database;
mod outage_report;
#[cfg(test)]
mod tests;
pub(crate) mod udp;
pub(crate) mod unix_socket;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::logging::backlog::Backlog;

/// The largest size of the waiting messages, in bytes.
const LIMIT: usize = 1024 * 1024;
/// The approximate overhead of the queue for a message, in bytes.
const OVERHEAD: usize = 64;
/// The delays before further attempts to deliver a message.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(500), Duration::from_secs(30));

thread_local! {
    /// True on a thread that delivers messages. The thread's own messages must not enter an outbox (DESIGN.md, D82).
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

/// A message with a size.
pub(crate) trait Message: Send + 'static {
    /// Returns the size in bytes.
    fn size(&self) -> usize;
}

impl Message for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }
}

/// A receiver of messages. The outbox calls all methods on its own thread, so they may block.
pub(crate) trait Receiver<M>: Send + 'static {
    /// Tries to deliver a message.
    fn deliver(&mut self, message: &M) -> DeliveryResult;

    /// Makes a message about `count` lost messages, if the receiver reports losses.
    fn lost(&mut self, _count: u64) -> Option<M> {
        None
    }

    /// Returns the message that the receiver holds back, or the time at which it is due. With `now`, it is due at once.
    fn held(&mut self, _now: bool) -> Held<M> {
        Held::Nothing
    }
}

/// The outcome of a delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DeliveryResult {
    /// The receiver has the message.
    Done,
    /// This message cannot be delivered. Other messages can.
    Refused,
    /// The receiver is unreachable. The same message is retried after a pause.
    Away,
}

/// A message that the receiver holds back, such as a sum that is not complete.
pub(crate) enum Held<M> {
    Nothing,
    Until(Instant),
    Due(M),
}

/// A bounded queue of messages for a receiver that may be slow or unreachable.
///
/// Callers never wait. The outbox keeps up to one megabyte; new messages replace the oldest ones, so that a receiver
/// which recovers gets the latest. The thread starts with the first message, after the fork of a daemon.
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
    /// True if the last delivery succeeded.
    delivers: bool,
    started: bool,
    woken: bool,
    flushing: bool,
    /// True while the thread waits for messages or before a retry.
    settled: bool,
    closed: bool,
}

/// A message on its way, and the number of messages that it stands for.
struct Parcel<M> {
    message: M,
    count: u64,
}

impl<M: Message> Outbox<M> {
    /// Creates an empty outbox; `name` is the name of its thread.
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

    /// Adds a message.
    pub(crate) fn push(&self, message: M) {
        if !DELIVERS.get() {
            let mut state = self.shared.lock();
            state.push(message);
            self.notify(state);
        }
    }

    /// Wakes the thread, which calls [`Receiver::held`].
    pub(crate) fn wake(&self) {
        if !DELIVERS.get() {
            let mut state = self.shared.lock();
            state.woken = true;
            self.notify(state);
        }
    }

    /// Starts the thread if it is not running. If that fails, the next message tries again.
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
    fn start_flush(&self) {
        let mut state = self.shared.lock();
        if state.started && !DELIVERS.get() {
            state.flushing = true;
            state.settled = false;
            self.shared.changed.notify_all();
        }
    }

    fn wait_until_flushed(&self, until: Instant) {
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

    /// Waits for the next message. Returns `None` if the outbox is closed.
    fn next(&self, receiver: &mut dyn Receiver<M>) -> Option<Parcel<M>> {
        let mut state = self.lock();
        while !state.closed {
            // Only a reachable receiver can receive the number of lost messages.
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

    /// Delivers a message, with retries until the outbox is closed.
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

    /// Waits up to `limit` while `idle` returns true. A flush ends the wait.
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

    /// Locks the state. A panic leaves the queue usable, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
