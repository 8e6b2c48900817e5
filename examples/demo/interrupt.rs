//! Handling of Ctrl-C: the next step returns an error, so that programs and server are shut down in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dbscript::BoxError;
use nix::sys::signal::{SigSet, Signal};

/// The longest delay between the end of a child by a signal and the arrival of the signal in this process.
const GRACE: Duration = Duration::from_millis(100);

/// Set when SIGINT, SIGTERM or SIGHUP has arrived.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches for the signals on a new thread. The second signal ends the process at once.
    ///
    /// Must be called before other threads are started, since they inherit the mask that blocks the signals.
    pub(crate) fn watch(&self) -> Result<(), BoxError> {
        signals().thread_block()?;
        let is_interrupted = Arc::clone(&self.0);
        let wait = move || {
            while signals().wait().is_ok() {
                if is_interrupted.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(())
    }

    /// Fails when a signal has arrived.
    pub(crate) fn check(&self) -> Result<(), BoxError> {
        if self.0.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
    }

    /// Returns whether a signal has arrived. After a failure, which a signal may have caused, waits up to 0.1 seconds.
    pub(crate) fn is_set_by_now(&self, failed: bool) -> bool {
        if failed && self.check().is_ok() {
            thread::sleep(GRACE);
        }
        self.check().is_err()
    }
}

/// Runs `spawn` with the signals unblocked, since a new process inherits the mask.
///
/// A signal during `spawn` ends this process. The watchdog of the server then cleans up.
pub(crate) fn unblocked<T>(spawn: impl FnOnce() -> T) -> Result<T, BoxError> {
    let before = signals().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_UNBLOCK)?;
    let result = spawn();
    before.thread_set_mask()?;
    Ok(result)
}

fn signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}
