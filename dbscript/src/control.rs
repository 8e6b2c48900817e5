//! The handle that stops, reloads and wakes a running loop.

use std::cell::RefCell;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{BoxError, Error};

/// The time for which [`Control::abort`] repeats the cancelling of statements.
const ABORT_LIMIT: Duration = Duration::from_millis(750);
const ABORT_INTERVAL: Duration = Duration::from_millis(50);
/// The time for which interruptible work continues after [`Control::stop`].
const STOP_LIMIT: Duration = Duration::from_secs(1);
const INTERRUPT_POLL: Duration = Duration::from_millis(20);

/// Stops, reloads and wakes a [`RunLoop`](crate::RunLoop) from another thread. Clones are the same handle.
#[derive(Clone, Default)]
pub struct Control(Arc<Shared>);

thread_local! {
    /// The handle of the loop on this thread.
    static CURRENT: RefCell<Option<Control>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stop: bool,
    abort: bool,
    reload: bool,
    wake: bool,
    ended: bool,
    /// The number of threads that are cancelling statements.
    cancelling: usize,
    next_id: u64,
    cancellers: Vec<(u64, Arc<dyn Cancel>)>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}

impl Control {
    /// Returns the handle of the loop that runs on this thread, if any. Code that waits deep inside a round uses the
    /// handle to stop waiting when the loop stops.
    pub fn current() -> Option<Control> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Makes this the handle of this thread until the returned guard is dropped.
    pub(crate) fn enter(&self) -> Entered {
        Entered(CURRENT.replace(Some(self.clone())))
    }

    /// Stops the loop after the current round; a sleep ends at once.
    pub fn stop(&self) {
        self.change(|state| state.stop = true);
    }

    /// Stops the loop now: running statements are cancelled, so the round fails and its transactions are rolled
    /// back.
    ///
    /// Waits up to 0.75 seconds for the loop to end. Returns true if the loop has ended.
    pub fn abort(&self) -> bool {
        self.change(|state| {
            state.stop = true;
            state.abort = true;
        });
        let cancellers: Vec<_> = self.lock().cancellers.iter().map(|(_, one)| one.clone()).collect();
        for canceller in cancellers {
            let control = self.clone();
            // One thread per connection, since a server that does not answer must not delay the other requests.
            // If no thread can be started, the statement ends when the process closes the connection.
            self.change(|state| state.cancelling += 1);
            let cancel = move || {
                control.cancel(&*canceller);
                control.change(|state| state.cancelling -= 1);
            };
            if thread::Builder::new().name("cancel".to_owned()).spawn(cancel).is_err() {
                self.change(|state| state.cancelling -= 1);
            }
        }
        self.wait_for_end(ABORT_LIMIT)
    }

    /// Waits up to `limit` for the loop to end. Returns true if the loop has ended.
    pub(crate) fn wait_for_end(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.ended);
        self.lock().ended
    }

    /// Cancels the statements of a connection repeatedly: a single cancel may arrive between two statements.
    fn cancel(&self, canceller: &dyn Cancel) {
        let limit = Instant::now() + ABORT_LIMIT;
        while Instant::now() < limit && !self.lock().ended {
            canceller.cancel(limit);
            self.wait(ABORT_INTERVAL, |state| state.ended);
        }
    }

    /// Reloads the loop before the next round; a sleep ends at once.
    pub fn reload(&self) {
        self.change(|state| state.reload = true);
    }

    /// Ends the current sleep after an idle round. Without a current sleep, the next one ends at once.
    pub fn wake(&self) {
        self.change(|state| state.wake = true);
    }

    /// Returns true if [`stop`](Control::stop) or [`abort`](Control::abort) was called.
    pub fn is_stopping(&self) -> bool {
        self.lock().stop
    }

    /// Returns true if [`abort`](Control::abort) was called.
    pub fn is_aborting(&self) -> bool {
        self.lock().abort
    }

    /// Sleeps for `duration`, or until the loop is stopped or reloaded.
    pub fn sleep(&self, duration: Duration) {
        self.wait(duration, |state| state.stop || state.reload);
    }

    /// Sleeps as [`sleep`](Control::sleep) does, or until [`wake`](Control::wake). Returns true if the sleep ended
    /// early.
    pub(crate) fn idle(&self, duration: Duration) -> bool {
        let woken = |state: &State| state.stop || state.reload || state.wake;
        self.wait(duration, woken);
        let mut state = self.lock();
        let early = woken(&state);
        state.wake = false;
        early
    }

    /// Runs `work` on a new thread and returns its result.
    ///
    /// If the loop is aborted, or has been stopping for a second, the error is of kind
    /// [`Interrupted`](crate::ErrorKind::Interrupted), and the thread continues unattended.
    pub(crate) fn interruptible<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BoxError> {
        let (send, done) = mpsc::channel();
        let report = move || {
            // The receiver is gone when the loop has stopped waiting.
            let _ = send.send(work());
        };
        thread::Builder::new().name(name.to_owned()).spawn(report)?;
        let mut stopped: Option<Instant> = None;
        loop {
            match done.recv_timeout(INTERRUPT_POLL) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Disconnected) => return Err("the thread panicked".into()),
                Err(RecvTimeoutError::Timeout) if self.is_stopping() => {
                    let waited = stopped.get_or_insert_with(Instant::now).elapsed();
                    if self.is_aborting() || waited > STOP_LIMIT {
                        return Err(Error::interrupted().into());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    pub(crate) fn take_reload(&self) -> bool {
        std::mem::take(&mut self.lock().reload)
    }

    /// Marks the loop as ended, for which [`abort`](Control::abort) waits. Then waits up to 0.75 seconds for cancel
    /// requests in flight.
    pub(crate) fn ended(&self) {
        self.change(|state| state.ended = true);
        self.wait(ABORT_LIMIT, |state| state.cancelling == 0);
    }

    /// Registers a connection's canceller until the returned guard is dropped.
    pub(crate) fn cancellable(&self, canceller: impl Cancel + 'static) -> Cancellable {
        let mut state = self.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.cancellers.push((id, Arc::new(canceller)));
        Cancellable { control: self.clone(), id }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.0.changed.notify_all();
    }

    fn wait(&self, duration: Duration, woken: impl Fn(&State) -> bool) {
        let state = self.lock();
        let waited = self.0.changed.wait_timeout_while(state, duration, |state| !woken(state));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Locks the state. A panic leaves the flags usable, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Restores the thread's previous handle when dropped.
pub(crate) struct Entered(Option<Control>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Cancels the statements of a connection.
pub(crate) trait Cancel: Send + Sync {
    /// Sends the server a cancel request for the running statement, if any. Returns at `limit` at the latest.
    fn cancel(&self, limit: Instant);
}

/// Unregisters a connection's canceller when dropped.
pub(crate) struct Cancellable {
    control: Control,
    id: u64,
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.control.lock().cancellers.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_and_a_reload_end_a_sleep() {
        for request in [Control::stop, Control::reload] {
            let control = Control::default();
            let other = control.clone();
            let sleeper = std::thread::spawn(move || other.sleep(Duration::from_secs(3600)));
            request(&control);
            sleeper.join().expect("the sleeper does not panic");
        }
    }

    #[test]
    fn a_reload_is_taken_once() {
        let control = Control::default();
        control.reload();
        assert!(control.take_reload());
        assert!(!control.take_reload());
        assert!(!control.is_stopping());
    }

    #[test]
    fn an_abort_returns_whether_the_loop_has_ended() {
        let control = Control::default();
        assert!(!control.abort());
        control.ended();
        assert!(control.abort());
    }
}
