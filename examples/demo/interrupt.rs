//! Ctrl-C, turned into an error at the next step, so that everything is taken down in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dbscript::BoxError;
use nix::sys::signal::{SigSet, Signal};

/// How long a signal that already ended a child may take to be seen here.
const GRACE: Duration = Duration::from_millis(100);

/// Whether SIGINT, SIGTERM or SIGHUP has come.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches for the signals on a thread of its own; the second one ends the process at once.
    ///
    /// Must be called before other threads are started: they inherit that the signals are blocked.
    pub(crate) fn watch(&self) -> Result<(), BoxError> {
        signals().thread_block()?;
        let set = Arc::clone(&self.0);
        let wait = move || {
            while signals().wait().is_ok() {
                if set.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(())
    }

    /// Fails when a signal has come.
    pub(crate) fn check(&self) -> Result<(), BoxError> {
        if self.0.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
    }

    /// Returns whether a signal has come, or, after a failure that it may have caused, is about to.
    pub(crate) fn is_set_by_now(&self, failed: bool) -> bool {
        if failed && self.check().is_ok() {
            thread::sleep(GRACE);
        }
        self.check().is_err()
    }
}

/// Runs `spawn` with the signals let through, since a new process inherits which ones are blocked.
///
/// A signal at that very moment ends this process, which cleans up as well.
pub(crate) fn unblocked<T>(spawn: impl FnOnce() -> T) -> Result<T, BoxError> {
    let before = signals().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_UNBLOCK)?;
    let result = spawn();
    before.thread_set_mask()?;
    Ok(result)
}

fn signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}
